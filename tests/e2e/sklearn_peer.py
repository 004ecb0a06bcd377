"""Compares a linear model of ml.train with scikit-learn on the same rows.

    sklearn_peer.py MODEL_FOLDER ROWS.csv

Reads nexus.json and linear.json, builds the matrix again by itself (mean for missing numbers, one
column a category, deviation 1 where the model standardizes), fits scikit-learn, and prints the
largest differences; exit status 1 when one is above 1e-6 (relative to the size of what is compared).
"""
import csv
import json
import sys

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

LIMIT = 1e-6


def load(folder, table):
    manifest = json.load(open(folder + "/nexus.json"))
    linear = json.load(open(folder + "/linear.json"))
    rows = list(csv.DictReader(open(table)))
    return manifest, linear, rows


def number(text):
    words = {"yes": 1, "true": 1, "no": 0, "false": 0, "": np.nan}
    return float(words.get(text.lower(), text))


def matrix(manifest, rows):
    standardized = {s["in"] for s in manifest["transform"] if s["op"] == "standardize"}
    columns = []
    for item in manifest["inputs"]:
        values = [row[item["name"]].strip() for row in rows]
        if item["type"] == "category":
            levels = sorted({v for v in values if v}, key=lambda v: v.encode())
            assert levels == item["categories"], item["name"]
            columns += [[float(v == level) for v in values] for level in levels]
            continue
        x = np.array([number(v) for v in values])
        x = np.where(np.isnan(x), np.nanmean(x), x)
        if item["name"] in standardized:
            deviation = x.std()
            x = (x - x.mean()) / (deviation if deviation > 0 else 1)
        columns.append(x)
    return np.array(columns, dtype=float).T


def peer(manifest, x, target):
    """The model, which takes centred columns: its solvers fail on columns far from 0."""
    params = manifest["params"]
    x = x - x.mean(axis=0)
    if manifest["task"] == "regression":
        y = np.array([float(t) for t in target])
        return (Ridge(alpha=params["l2"]) if params["l2"] else LinearRegression()).fit(x, y)
    y = np.array([manifest["classes"].index(t) for t in target])
    # Newton's method: its lbfgs stops by a tolerance of the loss that cannot be set.
    several = manifest["task"] == "multiclass"
    return LogisticRegression(C=1 / params["l2"], tol=1e-9, max_iter=10000,
                              solver="newton-cg" if several else "newton-cholesky",
                              multi_class="multinomial" if several else "ovr").fit(x, y)


def kkt(manifest, linear, x, target):
    """How far a model with l1 is from the conditions of its optimum, per unit of l1."""
    w, b, l1 = np.array(linear["coefficients"][0]), linear["intercepts"][0], manifest["params"]["l1"]
    y = np.array([float(t == manifest["positive"]) for t in target])
    r = 1 / (1 + np.exp(-(x @ w + b))) - y
    g = x.T @ r + manifest["params"]["l2"] * w
    off = np.where(w != 0, np.abs(g + l1 * np.sign(w)), np.maximum(np.abs(g) - l1, 0))
    print("coefficients at 0: %d of %d" % ((w == 0).sum(), w.size))
    assert (w == 0).any() and (w != 0).any()
    return {"optimum": max(off.max(), abs(r.sum())) / l1}


def compare(manifest, linear, x, target):
    if manifest["params"].get("l1"):
        return kkt(manifest, linear, x, target)
    model = peer(manifest, x, target)
    ours = x @ np.array(linear["coefficients"]).T + np.array(linear["intercepts"])
    golden = manifest["golden"]
    picked = [i * len(x) // golden["rows"] for i in range(golden["rows"])]
    values = np.array(golden["values"])
    if manifest["task"] == "regression":
        theirs = model.predict(x - x.mean(axis=0))
        size = np.abs(theirs).max()
        return {"predictions": np.abs(ours[:, 0] - theirs).max() / size,
                "golden rows": np.abs(values[:, 0] - theirs[picked]).max() / size,
                "coefficients": np.abs(linear["coefficients"][0] - model.coef_).max()
                / np.abs(model.coef_).max()}
    theirs = model.predict_proba(x - x.mean(axis=0))
    positive = manifest.get("positive")
    coefficients = np.array(linear["coefficients"])
    if positive == manifest["classes"][0]:
        coefficients = -coefficients
    if manifest["task"] == "multiclass":
        p = np.exp(ours - ours.max(axis=1)[:, None])
        p /= p.sum(axis=1)[:, None]
    else:
        p = 1 / (1 + np.exp(-ours[:, 0]))
        p = np.stack([1 - p, p] if positive == manifest["classes"][1] else [p, 1 - p], axis=1)
    return {"golden rows": np.abs(values - theirs[picked]).max(),
            "probabilities": np.abs(p - theirs).max(),
            "coefficients": np.abs(coefficients - model.coef_).max() / np.abs(model.coef_).max()}


def main():
    manifest, linear, rows = load(sys.argv[1], sys.argv[2])
    target = [row[manifest["target"]["name"]].strip() for row in rows]
    if manifest["target"]["type"] == "bool":
        target = ["true" if number(t) else "false" for t in target]
    differences = compare(manifest, linear, matrix(manifest, rows), target)
    for name, value in differences.items():
        print("%s: %.3g" % (name, value))
    limit = 1e-3 if "optimum" in differences else LIMIT
    sys.exit(any(not v <= limit for v in differences.values()))


main()
