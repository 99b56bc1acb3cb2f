#!/usr/bin/env python3
"""Compares the text readers of `wire` with Python's, on random input.

    cargo build --example wire_text
    python3 tests/interop/wire_text.py target/debug/examples/wire_text [--rounds N] [--seed N] [--only KIND]

The standard library suffices. The environment tokeniser and the %(here)s pass are compared only where the package
`supervisor` can be imported. Python 3.13 rewrote its INI parser; the contract is the parser up to 3.12, so with later
ones the files are left out. Exit status 1 and the input of the first few differences if there are any.
"""

import argparse
import configparser
import io
import json
import random
import shlex
import subprocess
import sys
import unicodedata

try:
    from supervisor import datatypes, options
except ImportError:
    datatypes = options = None

SHOWN_MAX = 5


class Ours:
    """The program that answers for us: one line of JSON to each question."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, kind, *parts):
        question = ' '.join([kind] + [part.hex() for part in parts]) + '\n'
        self.process.stdin.write(question.encode())
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit('the program ended at: %s' % question)
        return answer.decode().rstrip('\n')


def attempt(call, *args, catch=Exception):
    """The answer that ours must equal, as text."""
    try:
        return json.dumps(call(*args))
    except catch as error:
        return json.dumps({'error': str(error)})


# Files.

BLANKS = ['', '', '', ' ', '  ', '\t', ' \t', '\x0b', '\x0c', '\x1c', '\x85', '\xa0', '\u2003', '\u3000', '\u200b']
ENDS = ['\n'] * 12 + ['\r\n', '\r', '\n\n', '\n \n', '']
ATOMS = ['a', 'b', 'X', 'Key', 'é', 'İ', 'ΑΣ', 'ß', '=', ':', ';', '#', ' ;', ' #', '\t;', '\xa0#', ';;', '#;', '[', ']',
         '[a]', '"', "'", '\\', '%', '%(here)s', '%(x)s', ' ', '  ', '\x1f', '\x85', '\u2028', '\ufeff', '\x00', 'rem ',
         '1', 'DEFAULT', 'program:x', ',', '😀', '\u0301', '\ue000']
SECTIONS = ['a', 'b', 'c', ' a ', 'A', 'DEFAULT', 'default', 'program:x', 'a]b', '[', ']', 'a=b', '#', 'é', '']
KEYS = ['x', 'y', 'X', 'command', 'Foo Bar', 'ΑΣ', '[x', '', 'x x']


def junk(rng, most=6):
    return ''.join(rng.choice(ATOMS) for _ in range(rng.randrange(most)))


def random_line(rng):
    kind = rng.random()
    if kind < 0.16:
        body = '[%s]%s' % (rng.choice(SECTIONS), junk(rng, 4) if rng.random() < 0.3 else '')
    elif kind < 0.55:
        delimiter = rng.choice(['=', ':', ' = ', ' : ', '= ', ' ='])
        body = rng.choice(KEYS) + delimiter + junk(rng)
    elif kind < 0.65:
        body = rng.choice(';#') + junk(rng)
    elif kind < 0.78:
        body = ''
    else:
        body = junk(rng)
    return rng.choice(BLANKS) + body + rng.choice(ENDS)


def random_file(rng):
    lines = [random_line(rng) for _ in range(rng.randrange(12))]
    if rng.random() < 0.9:
        lines.insert(0, '[%s]\n' % rng.choice(['a', 'b', 'DEFAULT']))
    return ''.join(lines)


def tidy_file(rng):
    """One that is mostly free of errors, so that values are compared and not only messages."""
    lines = []
    for _ in range(rng.randrange(1, 6)):
        lines.append('[%s]\n' % rng.choice([name for name in SECTIONS if name]))
        for _ in range(rng.randrange(6)):
            delimiter = rng.choice('=:')
            lines.append(rng.choice(['x', 'y', 'Z']) + delimiter + junk(rng) + '\n')
            for _ in range(rng.randrange(3)):
                lines.append(rng.choice([' ', '\t', '\xa0 ']) + junk(rng) + rng.choice(['\n', '\n\n', '\r\n']))
    return ''.join(lines)


def read_files(files, expand_here):
    if expand_here:
        parser = options.UnhosedConfigParser()
    else:
        parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(';', '#'))
    origin = {}
    for at, text in enumerate(files):
        # As a file opened in text mode is read.
        parser.read_file(io.StringIO(text, newline=None), 'f%d' % at)
        for name in parser.sections():
            origin.setdefault(name, 'f%d' % at)
        if expand_here:
            parser.expand_here('/d%d' % at)
    entries = lambda options: [list(pair) for pair in options.items()]
    sections = [[name, origin[name], entries(parser._sections[name])] for name in parser.sections()]
    return [entries(parser.defaults())] + sections


def check_files(ours, rng, kind):
    make = random_file if rng.random() < 0.5 else tidy_file
    files = [make(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    expected = attempt(read_files, files, kind == 'here', catch=configparser.ParsingError)
    return files, expected, ours.ask(kind, *[text.encode() for text in files])


def check_ini(ours, rng):
    return check_files(ours, rng, 'ini')


def check_here(ours, rng):
    return check_files(ours, rng, 'here')


# Words, formats, pairs.

SHELL = ['a', 'b', ' ', '  ', '\t', '\n', '\r', '\x0b', '\xa0', '"', '"', "'", "'", '\\', '\\', '#', '$', '`', 'é', '😀', ';',
         '""', "''", '\\"', "\\'", '=', '|']


def check_split(ours, rng):
    text = ''.join(rng.choice(SHELL) for _ in range(rng.randrange(14)))
    return text, attempt(shlex.split, text), ours.ask('split', text.encode())


NAMES = {'process_num': 7, 'numprocs': -1234567, 'big': 2**63 - 1, 'c': 233, 'x': 'é', 'here': '/etc',
         'ENV_X': "it's %(x)s \U0001f600\u0301\n%"}
NAMED = ['(%s)' % name for name in NAMES] * 3 + ['(nope)', '()', '', '(x', '((x))', '(', '(x))']
FLAGS = ['', '', '', '-', '+', ' ', '#', '0', '0-', '+0', '#0', '- ', '#+ 0-']
WIDTHS = ['', '', '', '1', '5', '12', '30', '*', '99999999999999999999']
PRECISIONS = ['', '', '', '.', '.0', '.1', '.3', '.17', '.40', '.*', '.99999999999999999999', '.x']
LENGTHS = ['', '', '', '', 'h', 'l', 'L', 'll']
CONVERSIONS = list('sssddiuoxXeEfFgGcra%') + ['q', 'n', '', 'é', '\n', '\x1f', '\x7f', ')']


class Dumped(dict):
    """A mapping that shows when it was put into a value as a whole: there ours is an error on purpose."""

    def __str__(self):
        raise TypeError('not enough arguments for format string')

    __repr__ = __str__


def percent(text):
    try:
        return text % Dumped(NAMES)
    except KeyError as error:
        message = 'contains names (%s) which cannot be expanded. Available names: %s' % (error, ', '.join(sorted(NAMES)))
    except Exception as error:
        # The class's own name would be in some messages.
        message = 'is badly formatted: ' + str(error).replace('not Dumped', 'not dict')
    raise ValueError("Format string %r for 'program:cat.command' %s" % (text, message))


def random_conversion(rng):
    if rng.random() < 0.5:
        # One that is right.
        name = rng.choice(list(NAMES))
        kinds = 'sra' if isinstance(NAMES[name], str) else 'diuoxXeEfFgGsra'
        parts = (['(%s)' % name], FLAGS, WIDTHS[:-2], PRECISIONS[:-3], LENGTHS[:-1], kinds)
    else:
        parts = (NAMED, FLAGS, WIDTHS, PRECISIONS, LENGTHS, CONVERSIONS)
    text = '%' + ''.join(rng.choice(part) for part in parts)
    # A star never ends well; Python has one more way, for numbers beyond a C int.
    return text.replace('(big)', '(c)') if '*' in text else text


def check_expand(ours, rng):
    parts = [rng.choice(['', 'a', 'é', '%%', '/', ' ']) + random_conversion(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    text = ''.join(parts) + rng.choice(['', '', 'z', '%'])
    return text, attempt(percent, text), ours.ask('expand', text.encode())


PAIRS = ['A', 'B', '=', '=', '=', ',', ',', '1', 'x-y/z', ' ', '\n', '"', "'", '"v"', "'v'", '#', '\\', '@', ';', '$', '~', 'é',
         'ж', '%', '""', '\t']
WELL_FORMED = ['1', 'a.b', '"x"', "'x'", '"a,b"', '"it\'s"', "'\"'", '""', '/bin:/usr', '"a\nb"', "a'b", '"\\"', '"\\\\"', '"%"']


def random_pairs(rng):
    if rng.random() < 0.5:
        return ''.join(rng.choice(PAIRS) for _ in range(rng.randrange(14)))
    pairs = []
    for _ in range(rng.randrange(1, 5)):
        blank = lambda: rng.choice(['', '', '', ' ', '\n  '])
        value = rng.choice(WELL_FORMED) if rng.random() < 0.9 else junk(rng)
        pairs.append(rng.choice('ABC') + blank() + '=' + blank() + value + blank() + rng.choice([',', ',', ',', ';', '']))
    return ''.join(pairs)


def drops_something(text):
    """Whether the original loses more than separators: the fourth of each four tokens."""
    lexer = shlex.shlex(text)
    lexer.wordchars += '/.+-():'
    return any(token not in (',', ';') for token in list(lexer)[3::4])


def quoting(text):
    """What the successor's grammar makes of it, all letters being letters."""
    lexer = shlex.shlex(text, posix=True)
    lexer.wordchars += '/.+-():' + ''.join({c for c in text if c.isalnum()})
    tokens = list(lexer)
    return [[tokens[at], tokens[at + 2]] for at in range(0, len(tokens), 4)]


def unique(pairs):
    return [list(pair) for pair in dict(pairs).items()]


def check_pairs(ours, rng):
    text = random_pairs(rng)
    answer = ours.ask('pairs', text.encode())
    expected = attempt(lambda: [list(pair) for pair in datatypes.dict_of_key_value_pairs(text).items()])
    if expected != answer and not answer.startswith('{'):
        if expected.startswith('{'):
            # More than the original reads, by the rules of its successor.
            expected = json.dumps(unique(quoting(text)))
        elif drops_something(text):
            expected = answer
    return text, expected, answer


# The rest.

def check_decode(ours, rng):
    heads = [b'a', b'\n', 'é'.encode(), '€'.encode(), '😀'.encode(), b'\xe2\x82', b'\xf0\x9f\x98', b'\xed\xa0\x80', b'\xff']
    data = b''.join(rng.choice(heads) if rng.random() < 0.8 else bytes([rng.randrange(256)]) for _ in range(rng.randrange(5)))
    return data, attempt(data.decode, 'utf-8'), ours.ask('decode', data)


def check_bytes(ours, rng):
    data = bytes(rng.choice([rng.randrange(256), 34, 39, 92, 10]) for _ in range(rng.randrange(12)))
    return data, json.dumps(repr(data)), ours.ask('bytes', data)


def check_repr(ours, rng):
    code = lambda: rng.choice([rng.randrange(0x300), rng.randrange(0xd800), rng.randrange(0xe000, 0x110000), 34, 39, 92])
    # What Python has as unassigned, a newer Unicode may know.
    chars = [c for c in (chr(code()) for _ in range(rng.randrange(12))) if unicodedata.category(c) != 'Cn']
    text = ''.join(chars)
    return text, json.dumps(repr(text)), ours.ask('repr', text.encode())


SCALARS = ['null', 'true', 'false', '0', '-1', '12', '-0', '1.5', '-0.25e3', '1E+2', '9e-9', '1e999', 'NaN', '-Infinity', '""',
           '"a"', '"\\u00e9\\n"', '"\\ud83d\\ude00"', '"é😀"', '"\\/\\b\\f"', '9223372036854775807']
BROKEN = ['01', '1.', '.5', '+1', '-', '1e', 'nul', '"', '"\\x"', '"\n"', '"\\u12"', ',', ':', '[', '}', '', "'a'", 'Infinit']


def random_json(rng, depth=0):
    blank = lambda: rng.choice(['', '', ' ', '\n', '\t\r '])
    kind = rng.random()
    if kind < 0.02:
        return rng.choice(BROKEN)
    if kind < 0.5 or depth > 4:
        return blank() + rng.choice(SCALARS) + blank()
    items = [random_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind < 0.75:
        return blank() + '[' + (','.join(items) or blank()) + ']' + blank()
    members = ['%s"%s%d"%s:%s' % (blank(), rng.choice('aé'), at, blank(), item) for at, item in enumerate(items)]
    return blank() + '{' + (','.join(members) or blank()) + '}' + blank()


def check_json(ours, rng):
    text = random_json(rng)
    expected = attempt(json.loads, text, catch=ValueError)
    if expected.startswith('{"error"'):
        expected = json.dumps({'error': 'not JSON'})
    return text, expected, ours.ask('json', text.encode())


def check_float(ours, rng):
    number = rng.choice([rng.random() * 10 ** rng.randrange(-12, 25), float(rng.randrange(10**6)), rng.random() * 1e300])
    number = rng.choice([number, -number, 2.0 ** rng.randrange(-1074, 1024), number / 3])
    return number, json.dumps(number), ours.ask('float', repr(number).encode())


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument('program')
    arguments.add_argument('--rounds', type=int, default=3000)
    arguments.add_argument('--seed', type=int, default=1)
    arguments.add_argument('--only')
    arguments = arguments.parse_args()
    checks = {'split': check_split, 'expand': check_expand, 'decode': check_decode, 'bytes': check_bytes,
              'repr': check_repr, 'float': check_float, 'json': check_json}
    if sys.version_info < (3, 13):
        checks['ini'] = check_ini
    if datatypes:
        checks['pairs'] = check_pairs
        if sys.version_info < (3, 13):
            checks['here'] = check_here
    ours = Ours(arguments.program)
    failed = False
    for kind, check in checks.items():
        if arguments.only not in (None, kind):
            continue
        rng = random.Random('%s %d' % (kind, arguments.seed))
        different = errors = 0
        for _ in range(arguments.rounds):
            subject, expected, answer = check(ours, rng)
            errors += expected.startswith('{"error"')
            if expected != answer:
                different += 1
                if different <= SHOWN_MAX:
                    print('%s of %r\n  Python %s\n  ours   %s' % (kind, subject, expected, answer))
        print('%-7s %d of %d agree, %d of them errors' % (kind, arguments.rounds - different, arguments.rounds, errors))
        failed |= different > 0
    sys.exit(failed)


if __name__ == '__main__':
    main()
