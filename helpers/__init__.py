"""The code that the chapters of *Drawing the Line* build, one module each.

Imports run one way, so that nothing imports from what stands to its right::

    Line → make_dataset → Dataset → loss_fn → fit → params, History → plots
"""
