"""One HTML file on which a reader explores where a network looks.

measures.py computes the numbers, packing.py makes them small, page.py puts them into page.html,
page.css and the three scripts that stand beside it, and can be read as they are.
"""
