"""The endpoints below `/studio/`, one file per subject, each with a function `routes(studio)`."""
