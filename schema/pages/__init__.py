"""Pages to look at: one HTML file each, which needs no network, no server and no build step.

page      the template that every page extends, its style, its scripts and data, and what keeps hostile content inert
table     a title and rows, for templates to include where they have a `table`
screens   terminal screens as the data that screen.js draws
files     a file that appears whole or not at all

A page's own template, script and style lie beside the module that fills them.
"""
