"""A made-up world of people over a real catalogue, in which the best possible ranking is known.

    config     how large the world is, and how its people behave                        config.py
    tastes     directions in the catalogue's own vectors that people like or dislike    tastes.py
    world      who likes what at which time: the truth                                  world.py
    visits     who comes when, and what chance decides there                            visits.py
    serving    what is shown: at random, by popularity, by the engine                   serving.py
    measure    a shown list against the best possible one                               measure.py
    react      what a person does with a list                                           react.py
    loop       visits are served, people react, the result is measured                  loop.py
    output     into an event store, or a file                                           output.py

The truth of a person's click, given that they look, is a logistic model of how near the item is to one of their
tastes, of how good it is (which its contents do not show), and of what they cannot stand. Whether they look depends
on the position alone. So click logs are biased as real ones are, and everything that they hide can still be looked
up.
"""
