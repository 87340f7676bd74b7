"""How good rankers are: on splits, on served lists and in trials, beside baselines."""
