"""Makes python_json.tsv: JSON texts and what Python's json module makes of them.

One case a line: the input in hex, json.dumps of it with sorted keys, json.dumps as read; or the
input and the word "error". Run in this directory: python3 make_python_json.py > python_json.tsv
"""
import json
import math
import random
import struct

random.seed(20240229)
cases = [
    'null', 'true', 'false', ' [ ] ', '{}', '{ }', '[1,2 , 3]', '\r\n\t 1 \n', '0', '-0', '-0.0', '0.0', '-1',
    '123456789012345678901234567890', '-9223372036854775809', '18446744073709551616', '1' + '0' * 400,
    '1e5', '1E5', '1e+5', '1e-5', '0.0001', '0.00001', '1e15', '1e16', '1e17', '123456789012345678.0',
    '9999999999999998.0', '9007199254740993.0', '1e400', '-1e400', '5e-324', '2e-324', '1.7976931348623157e308',
    '2.2250738585072014e-308', '0.1', '100.0', '1.0', '12.5', '1e22', '1e23', '1.5e-7', '3.14159265358979',
    'NaN', 'Infinity', '-Infinity', '[NaN, -Infinity]', '""', '"\\u0000"', '"\\ud800"', '"\\udc00"',
    '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\ud83dx"', '"\\ud83d\\u0041"', '"\\ud83d\\ud83d\\ude00"',
    '"\\ude00\\ud83d"', '"a\\/b"', '"\\b\\f\\n\\r\\t\\"\\\\"', '"\x7f\x80\u00e9\u2028\uffff\U0001F600\U0010FFFF"',
    '{"a": 1, "a": 2}', '{"a": 1, "b": 2, "a": 3}', '{"b": 1, "a": {"d": 1, "c": [{"z": 1, "y": 2}]}}',
    '{"\uff61": 1, "\U0001F600": 2, "\\ud800": 3, "z": 4, "": 5, "\\u0000": 6}', '[[[[]]]]',
    '[' * 300 + ']' * 300, '{"a":' * 300 + '1' + '}' * 300,
    # not JSON
    '', ' ', '[', ']', '{', '[1', '[1,', '[1,]', '[,1]', '{"a"}', '{"a":}', '{"a":1,}', '{,}', "{'a': 1}", '{a: 1}',
    '01', '-', '+1', '.5', '1.', '1.e5', '1e', '1e+', '0x10', '-01', '1_000', '- 1', 'nul', 'True', 'nan', 'inf', '-NaN',
    '+Infinity', '"', '"\\"', '"\\x41"', '"\\u12"', '"\\u12G4"', '"\\u+123"', '"\\u 123"', '"a\nb"', '"a\tb"', '"\x00"',
    '1 2', '[] []', '{} x', '"a" "b"', '\ufeff1', '\u00a01', '\x0b1', '\x0c1', '[1 2]', '{"a" 1}', '{1: 2}', 'null,', '//1',
    '[1}', '{"a": 1]', '"\\ud83d\\u12"', '\u0661', '1\u0661',
]
for exponent in range(-1074, 1024):
    cases.append('%.17g' % math.ldexp(1, exponent))
for _ in range(1000):  # halves, quarters, ...: two shortest texts may be equally near
    cases.append('%.17g' % (random.getrandbits(53) / 2 ** random.randrange(0, 12)))
for _ in range(1000):
    bits = struct.pack('>Q', random.getrandbits(64))
    number = struct.unpack('>d', bits)[0]
    if math.isfinite(number):
        cases.append('%.17g' % number)
for _ in range(400):
    cases.append(repr(round(random.uniform(-1000, 1000), random.randrange(0, 8))))
    cases.append(repr(random.uniform(0, 1) * 10 ** random.randrange(-8, 20)))


def value(depth):
    kind = random.randrange(9 if depth else 6)
    if kind == 0:
        return random.choice([None, True, False])
    if kind == 1:
        return random.randrange(-10 ** random.randrange(1, 30), 10 ** random.randrange(1, 30))
    if kind == 2:
        return random.uniform(-1, 1) * 10 ** random.randrange(-20, 30)
    if kind < 6:
        return ''.join(chr(random.choice([random.randrange(0x80), random.randrange(0x3000), random.randrange(0x110000)]))
                       for _ in range(random.randrange(6)))
    if kind == 6:
        return [value(depth - 1) for _ in range(random.randrange(5))]
    return {str(value(0)): value(depth - 1) for _ in range(random.randrange(6))}


for _ in range(300):
    cases.append(json.dumps(value(4), ensure_ascii=random.random() < 0.5, indent=random.choice([None, 1])))

for text in cases:
    try:
        raw = text.encode('utf-8')
    except UnicodeEncodeError:
        continue
    try:
        parsed = json.loads(text)
        print(raw.hex(), json.dumps(parsed, sort_keys=True), json.dumps(parsed), sep='\t')
    except ValueError:
        print(raw.hex(), 'error', sep='\t')
