"""Speed of `meanfield` as ratios, in one run, against what one would use instead: ``make bench``."""
