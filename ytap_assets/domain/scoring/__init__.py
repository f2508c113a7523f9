"""How items and stories are scored and ranked.

- ``items``        what is measured of an item: the base score, and the measures of momentum.
- ``baselines``    the baselines of a source, and the rank of an item among its items.
- ``final_score``  the factors of a story and their product; relevance; what a config may weigh.
- ``ranking``      the ranked list of a day, and the reasons in words.
"""
