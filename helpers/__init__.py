"""The code that the chapters of *Drawing the Line* build, one module each.

It runs from left to right, and nothing on the left imports from its right::

    Line → make_dataset → Dataset → loss_fn → fit → params, History → plots
"""
