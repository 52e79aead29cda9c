"""A community's month as one page: figures and plots read from the views of database `qunpulse`, and nothing else."""
