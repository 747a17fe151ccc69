"""words.py SECONDS: counts words that it makes up."""
import collections
import random
import sys
import time


def make_text(n):
    return " ".join(random.choice("alpha beta gamma delta epsilon".split()) for _ in range(n))


def count_words(text):
    return collections.Counter(text.split())


def main():
    end = time.time() + float(sys.argv[1])
    print("ready", flush=True)
    while time.time() < end:
        count_words(make_text(2000))


main()
