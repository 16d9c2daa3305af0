"""Circuits of OpenDSS: their scripts checked line by line, compiled by its engine, read into networks of ours."""
