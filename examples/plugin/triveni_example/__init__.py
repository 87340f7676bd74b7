"""Parts for Triveni: a space, a candidate source, a policy rule and a catalogue reader."""
