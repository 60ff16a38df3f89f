"""Labelled tasks to runs, scores, comparisons and a leaderboard."""
