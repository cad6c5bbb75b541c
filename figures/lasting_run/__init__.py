"""An hour of harvesting with workers that are killed: are rate and memory flat, is anything lost, is the page true?"""
