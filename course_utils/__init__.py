"""Helpers of the autoencoder course: one short file for each idea, imported by a lesson once it has taught the idea."""
