# SPDX-License-Identifier: Apache-2.0
"""Three years of made-up daily sales: a trend, a season, noise. Prints what it finds, and plots it.

    sandboxd run --file examples/plot.py --out . -- python3 plot.py demo-plot.png
"""
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

random = np.random.default_rng(seed=7)
days = pd.date_range("2023-01-01", "2025-12-31", freq="D")
trend = np.linspace(200, 320, len(days))
season = 60 * np.sin(2 * np.pi * (days.dayofyear.to_numpy() - 80) / 365.25)
sales = pd.Series(trend + season + random.normal(0, 25, len(days)), index=days, name="sales")

years = sales.groupby(sales.index.year).agg(["mean", "std", "min", "max"]).round(1)
print(years.to_string())
slope = np.polyfit(np.arange(len(sales)), sales, 1)[0] * 365
print(f"growth: {slope:.1f} a year")

figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
axes.plot(sales, ".", markersize=2, alpha=0.4, label="a day")
axes.plot(sales.rolling(30, center=True).mean(), linewidth=2, label="30 days")
axes.set(title="Sales", ylabel="pieces a day")
axes.legend()
figure.savefig("/workspace/out/" + sys.argv[1], dpi=120)
