"""storage.*"""
