# SPDX-License-Identifier: Apache-2.0
"""Tools for agents: what a model may ask for, as runs, and what came of them, as text for a model.

    settings.py  what the operator decides
    inputs.py    the arguments of each tool, strictly typed
    jobs.py      arguments as runs
    report.py    results as text
    pictures.py  which artifacts are pictures
"""
