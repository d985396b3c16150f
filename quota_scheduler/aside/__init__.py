"""Verbs that stand beside an agent and cost it nothing: they import little, wait for nobody and hang on nothing."""
