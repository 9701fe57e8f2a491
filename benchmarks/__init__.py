"""Speed of the three packages as ratios, in one run, against what one would use instead: ``make bench``."""
