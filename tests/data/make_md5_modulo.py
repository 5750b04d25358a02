"""Makes md5_modulo.tsv: names of any Unicode in hex, and their homes among 3, 4, 7, 16 partitions
as the Python sketches compute them."""

import hashlib
import random

random.seed(20260311)
with open("md5_modulo.tsv", "w") as out:
    seen = set()
    while len(seen) < 10_000:
        length = random.randrange(1, 40)
        name = "".join(chr(random.choice([
            random.randrange(0x20, 0x7F), random.randrange(0xA0, 0x2FF),
            random.randrange(0x400, 0x5FF), random.randrange(0x4E00, 0x9FFF),
            random.randrange(0x1F300, 0x1F6FF)])) for _ in range(length)).replace("/", "_")
        if name in seen or name in (".", ".."):
            continue
        seen.add(name)
        value = int(hashlib.md5(name.encode()).hexdigest(), 16)
        homes = "\t".join(str(value % n) for n in (3, 4, 7, 16))
        out.write(name.encode().hex() + "\t" + homes + "\n")
