"""A text whose passages an engine can be asked for as the judge is."""

PASSAGES = [
    f"Passage {number}. The river that runs through the valley rises in the hills to the north, "
    "and the people who live beside it have built their houses well above the water."
    for number in range(12)
]
"""434 tokens: few, because many methods are judged on few cores. Each is as long as the judge
leaves a passage alone, so that a server can be asked for the same tokens after the same tokens."""
