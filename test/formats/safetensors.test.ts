import { execFileSync } from 'node:child_process';
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  readHeader,
  readSafetensors,
  SafetensorsError,
  type Tensor,
  writeSafetensors,
} from '../../lib/formats/index.ts';

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-cudnn-safetensors-'));
  path = join(folder, 'x.safetensors');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Every bit pattern that a load must keep: NaN with a payload, infinities, minus zero, a denormal. */
const bits = Uint32Array.of(0x7fc01234, 0xff800000, 0x7f800000, 0x80000000, 0x00000001, 0x3f800000);

const tensors = new Map<string, Tensor>([
  ['bytes', { dtype: 'U8', shape: [5], data: Uint8Array.of(0, 1, 2, 254, 255) }],
  ['layer1.0.conv1.weight', { dtype: 'F32', shape: [2, 3], data: new Float32Array(bits.buffer) }],
  ['double', { dtype: 'F64', shape: [], data: Float64Array.of(Math.PI) }],
  ['long', { dtype: 'I64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 62n) }],
  ['int', { dtype: 'I32', shape: [1, 2], data: Int32Array.of(-5, 7) }],
  ['half', { dtype: 'F16', shape: [1], data: Uint16Array.of(0x3c00) }],
  ['brain', { dtype: 'BF16', shape: [1], data: Uint16Array.of(0x3f80) }],
  ['none', { dtype: 'F32', shape: [0, 7], data: new Float32Array(0) }],
]);

const bytesOf = ({ data }: Tensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

async function failure(action: Promise<unknown>): Promise<SafetensorsError> {
  const error = await action.then(
    () => new Error('it did not fail'),
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(SafetensorsError);
  expect((error as SafetensorsError).file).toBe(path);
  expect((error as SafetensorsError).message).toContain(path);
  return error as SafetensorsError;
}

describe('round trip', () => {
  it('keeps every bit, shape, dtype and metadata entry', async () => {
    await writeSafetensors(path, tensors, { step: '12', 'text "quoted"': 'é\n' });
    const read = await readSafetensors(path);
    expect([...read.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
    for (const [name, tensor] of tensors) {
      const found = read.tensors.get(name) as Tensor;
      expect([found.dtype, found.shape]).toEqual([tensor.dtype, tensor.shape]);
      expect(found.data.constructor).toBe(tensor.data.constructor);
      expect(bytesOf(found).equals(bytesOf(tensor)), name).toBe(true);
    }
    expect(read.metadata).toEqual(
      new Map([
        ['step', '12'],
        ['text "quoted"', 'é\n'],
      ]),
    );
  });

  it('gives the same bytes for the same content, every tensor aligned to its element size', async () => {
    await writeSafetensors(path, tensors, { a: '1' });
    const first = await readFile(path);
    await writeSafetensors(path, tensors, { a: '1' });
    expect((await readFile(path)).equals(first)).toBe(true);
    const { tensors: infos } = await readHeader(path);
    for (const { position, bytes, shape } of infos.values()) {
      const elements = shape.reduce((product, n) => product * n, 1);
      if (elements > 0) expect(position % (bytes / elements)).toBe(0);
    }
  });

  it.each(['__proto__', 'constructor', '', 'toString', 'ünï "q" \\ \u0000'])(
    'holds a tensor named %j',
    async (name) => {
      await writeSafetensors(
        path,
        new Map<string, Tensor>([[name, { dtype: 'U8', shape: [1], data: Uint8Array.of(3) }]]),
      );
      const read = await readSafetensors(path);
      expect([...read.tensors]).toEqual([[name, { dtype: 'U8', shape: [1], data: Uint8Array.of(3) }]]);
      expect(({} as Record<string, unknown>).dtype).toBeUndefined();
    },
  );

  it('writes views into larger buffers', async () => {
    const data = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    await writeSafetensors(path, new Map<string, Tensor>([['v', { dtype: 'F32', shape: [2], data }]]));
    expect((await readSafetensors(path)).tensors.get('v')?.data).toEqual(Float32Array.of(1, 2));
  });

  it('readHeader gives names, types, sizes and metadata', async () => {
    await writeSafetensors(path, tensors, { step: '12' });
    const { tensors: infos, metadata } = await readHeader(path);
    expect(infos.get('layer1.0.conv1.weight')).toMatchObject({ dtype: 'F32', shape: [2, 3], bytes: 24 });
    expect(metadata).toEqual(new Map([['step', '12']]));
  });
});

describe('files of others', () => {
  // safetensors 0.8.0 (Rust, through Python): save({...}, {'format': 'np', 'note': 'é'}).
  const foreign =
    'kAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJucCIsIm5vdGUiOiLDqSJ9LCJhIjp7ImR0eXBlIjoiSTY0Iiwi' +
    'c2hhcGUiOlsxLDNdLCJkYXRhX29mZnNldHMiOlswLDI0XX0sInNjYWxhciI6eyJkdHlwZSI6IkY2NCIsInNoYXBlIjpbXSwi' +
    'ZGF0YV9vZmZzZXRzIjpbMjQsMzJdfSwiYi5iaWFzIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyXSwiZGF0YV9vZmZzZXRz' +
    'IjpbMzIsNDBdfSwiZW1wdHkiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzAsNF0sImRhdGFfb2Zmc2V0cyI6WzQwLDQwXX0s' +
    'ImhhbGYiOnsiZHR5cGUiOiJGMTYiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOls0MCw0NF19LCJieXRlcyI6eyJkdHlw' +
    'ZSI6IlU4Iiwic2hhcGUiOls1XSwiZGF0YV9vZmZzZXRzIjpbNDQsNDldfX0gICAgAQAAAAAAAAACAAAAAAAAAAMAAAAAAAAA' +
    'AAAAAAAA0D8AAMA/AAAAwAA8ALgAAQIDBA==';

  it('load without checksums', async () => {
    await writeFile(path, Buffer.from(foreign, 'base64'));
    const { tensors: read, metadata } = await readSafetensors(path);
    expect(metadata).toEqual(
      new Map([
        ['format', 'np'],
        ['note', 'é'],
      ]),
    );
    expect(read.get('a')).toEqual({ dtype: 'I64', shape: [1, 3], data: BigInt64Array.of(1n, 2n, 3n) });
    expect(read.get('b.bias')).toEqual({ dtype: 'F32', shape: [2], data: Float32Array.of(1.5, -2) });
    expect(read.get('half')).toEqual({ dtype: 'F16', shape: [2], data: Uint16Array.of(0x3c00, 0xb800) });
    expect(read.get('bytes')).toEqual({ dtype: 'U8', shape: [5], data: Uint8Array.of(0, 1, 2, 3, 4) });
    expect(read.get('scalar')).toEqual({ dtype: 'F64', shape: [], data: Float64Array.of(0.25) });
    expect(read.get('empty')).toEqual({ dtype: 'F32', shape: [0, 4], data: new Float32Array(0) });
  });
});

/** A file with this header and this many zero bytes of data. */
function file(header: string, dataBytes = 4, claimed?: bigint): Buffer {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

const entry = (offsets: string, shape = '[1]', dtype = 'F32') =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const one = (offsets: string, shape = '[1]', dtype = 'F32') => `{"w":${entry(offsets, shape, dtype)}}`;

const malformed: [title: string, bytes: Buffer, message: RegExp, tensor?: string][] = [
  ['an empty file', Buffer.alloc(0), /0 bytes is too short/],
  ['7 bytes', Buffer.alloc(7), /7 bytes is too short/],
  ['a header above 100,000,000 bytes', file('{}', 0, 100_000_001n), /100000001 bytes \(at most 100000000\)/],
  ['a header longer than the file', file('{}', 0, 3n), /header of 3 bytes in a file of 10: the file is truncated/],
  ['a header of 2^63 bytes', file('{}', 0, 2n ** 63n), /header of 9223372036854775808 bytes/],
  ['a header that is not UTF-8', Buffer.concat([file('', 0, 4n), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])]), /not UTF-8/],
  ['truncated JSON', file('{"w":{"dtype":"F32"', 0), /expected }, found the end/],
  ['JSON that ends inside a string', file('{"w', 0), /ends inside a string/],
  ['a header that is an array', file('[]', 0), /must begin with {/],
  ['a leading space', file(` ${one('[0,4]')}`), /must begin with {/],
  ['a byte order mark', file(`\ufeff${one('[0,4]')}`), /must begin with {/],
  ['text after the header', file(`${one('[0,4]')}x`), /more after the closing }/],
  ['a trailing comma', file(`{"w":${entry('[0,4]')},}`), /expected ", found "}"/],
  ['a name twice', file(`{"w":${entry('[0,4]')},"w":${entry('[0,4]', '[1]', 'I32')}}`), /"w" is there twice/],
  ['a name twice, once escaped', file(`{"w":${entry('[0,4]')},"\\u0077":${entry('[0,4]')}}`), /"w" is there twice/],
  ['metadata twice', file('{"__metadata__":{},"__metadata__":{}}', 0), /"__metadata__" is there twice/],
  ['a metadata key twice', file('{"__metadata__":{"a":"1","a":"2"}}', 0), /the key "a" twice/],
  ['metadata that is not a string', file('{"__metadata__":{"a":1}}', 0), /"a" is not a string/],
  ['metadata that is no object', file('{"__metadata__":"a"}', 0), /expected {/],
  ['a key twice in a tensor', file('{"w":{"dtype":"F32","dtype":"F32"}}', 0), /"w" has dtype twice/],
  ['an unknown key in a tensor', file('{"w":{"dtipe":"F32"}}', 0), /unknown key "dtipe"/],
  [
    'a tensor without shape',
    file('{"w":{"dtype":"F32","data_offsets":[0,4]}}'),
    /"w" must have dtype, shape and data_off/,
  ],
  ['an unknown dtype', file(one('[0,4]', '[1]', 'F31')), /"F31" is not one of F64, F32/, 'w'],
  ['the dtype __proto__', file(one('[0,4]', '[1]', '__proto__')), /"__proto__" is not one of/, 'w'],
  ['a shape whose product overflows', file(one('[0,4]', '[4294967296,4294967296]')), /above 2\^53 - 1 bytes/, 'w'],
  ['a shape with 2^53 + 1', file(one('[0,4]', '[9007199254740993]')), /9007199254740993 is above 2\^53 - 1/],
  ['a shape with 1.5', file(one('[0,4]', '[1.5]')), /found "1.5"/],
  ['a shape with 1e0', file(one('[0,4]', '[1e0]')), /found "1e0"/],
  ['a shape with -1', file(one('[0,4]', '[-1]')), /found "-1"/],
  ['a shape with 01', file(one('[0,4]', '[01]')), /found "01"/],
  ['three data_offsets', file(one('[0,4,8]')), /two data_offsets, not 3/],
  ['offsets that run backwards', file(one('[4,0]')), /run backwards/, 'w'],
  [
    'overlapping tensors',
    file(`{"a":${entry('[0,4]')},"b":${entry('[2,6]')}}`, 6),
    /begins at 2, expected 4: an overlap/,
    'b',
  ],
  ['a hole', file(`{"a":${entry('[0,4]')},"b":${entry('[8,12]')}}`, 12), /begins at 8, expected 4: a hole/, 'b'],
  ['a first offset of 4', file(one('[4,8]'), 8), /begins at 4, expected 0: a hole/, 'w'],
  ['an end beyond the file', file(one('[0,8]', '[2]')), /the file is truncated/, 'w'],
  ['trailing bytes', file(one('[0,4]'), 5), /1 bytes follow the last tensor/],
  ['data without tensors', file('{}', 4), /4 bytes follow the last tensor/],
  ['a size that is not shape × dtype', file(one('[0,4]', '[2]')), /needs 8 bytes, data_offsets hold 4/, 'w'],
  ['10,000-deep JSON', file(`{"w":${'['.repeat(10_000)}`, 0), /expected {, found "\["/],
  ['10,000-deep JSON in a shape', file(`{"w":{"shape":${'['.repeat(10_000)}`, 0), /expected an integer/],
];

describe('malformed files', () => {
  it.each(malformed)('%s', async (_, bytes, message, tensor) => {
    await writeFile(path, bytes);
    const error = await failure(readSafetensors(path));
    expect(error.message).toMatch(message);
    expect(error.message.length).toBeLessThan(path.length + 400);
    expect(error.tensor).toBe(tensor);
    expect((await failure(readHeader(path))).message).toBe(error.message);
  });

  it('a missing file', async () => {
    await rm(path, { force: true });
    expect((await failure(readSafetensors(path))).message).toMatch(/there is no such file/);
  });

  it('a duplicate at the end of a million names', async () => {
    const names = Array.from({ length: 1_000_000 }, (_, i) => `"t${i}":${entry('[0,0]', '[0]')}`);
    await writeFile(path, file(`{${names.join(',')},${names[500_000]}}`, 0));
    expect((await failure(readHeader(path))).message).toMatch(/"t500000" is there twice/);
  });
});

describe('damage behind a valid header', () => {
  const weight = (fill: number, n = 1000): Tensor => ({
    dtype: 'F32',
    shape: [n],
    data: new Float32Array(n).fill(fill),
  });

  it('a tail of zeros with the right length is caught, and the tensor named', async () => {
    await writeSafetensors(
      path,
      new Map([
        ['a', weight(1)],
        ['b', weight(2)],
      ]),
    );
    const handle = await open(path, 'r+');
    const { size } = await handle.stat();
    await handle.truncate(size - 1000);
    await handle.truncate(size);
    await handle.close();
    const error = await failure(readSafetensors(path));
    expect(error.tensor).toBe('b');
    expect(error.message).toMatch(/"b".*do not match its checksum/);
  });

  it('every single flipped byte is caught', async () => {
    await writeSafetensors(path, new Map([['a', weight(1, 3)]]), {
      s: '5',
    });
    const good = await readFile(path);
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] as number) ^ 0x01;
      await writeFile(path, bad);
      await failure(readSafetensors(path));
    }
  });
});

describe('writing', () => {
  const small = (value: number) =>
    new Map<string, Tensor>([['w', { dtype: 'F32', shape: [1], data: Float32Array.of(value) }]]);

  it.each<[string, Map<string, Tensor>, Record<string, string>, RegExp]>([
    [
      'a shape that does not fit',
      new Map([['w', { dtype: 'F32', shape: [2], data: new Float32Array(3) }]]),
      {},
      /"w".*\[2\]/,
    ],
    ['a negative dimension', new Map([['w', { dtype: 'U8', shape: [-1], data: new Uint8Array(1) }]]), {}, /\[-1\]/],
    [
      'another array type',
      new Map([['w', { dtype: 'F32', shape: [1], data: new Float64Array(1) } as never]]),
      {},
      /Float32Array/,
    ],
    [
      'the reserved name',
      new Map([['__metadata__', { dtype: 'U8', shape: [0], data: new Uint8Array(0) }]]),
      {},
      /reserves/,
    ],
    ['a checksum key', small(1), { 'checksum.w': 'x' }, /kept for checksums/],
    ['metadata that is no string', small(1), { a: 1 as never }, /"a" is not a string/],
  ])('refuses %s and leaves the old file', async (_, bad, metadata, message) => {
    await writeSafetensors(path, small(7));
    expect((await failure(writeSafetensors(path, bad, metadata))).message).toMatch(message);
    expect((await readSafetensors(path)).tensors.get('w')?.data).toEqual(Float32Array.of(7));
  });

  it('says so where the folder does not exist', async () => {
    const lost = join(folder, 'no', 'x.safetensors');
    await expect(writeSafetensors(lost, small(1))).rejects.toThrow(/its folder does not exist/);
  });

  it('keeps the old file and no temporary one when the disk takes only a part', async () => {
    await rm(folder, { recursive: true });
    folder = await mkdtemp(join(tmpdir(), 'node-cudnn-safetensors-'));
    path = join(folder, 'x.safetensors');
    await writeSafetensors(path, small(7));
    // A file-size limit fails a write midway, as a full disk does.
    const script = `
      import { writeSafetensors } from ${JSON.stringify(fileURLToPath(new URL('../../lib/formats/index.ts', import.meta.url)))};
      const data = new Float32Array(1 << 20).fill(8);
      writeSafetensors(process.argv[1], new Map([['w', { dtype: 'F32', shape: [1 << 20], data }]])).then(
        () => process.exit(9), (error) => { console.log(error.name, error.message); });`;
    const tsx = fileURLToPath(new URL('../../node_modules/.bin/tsx', import.meta.url));
    const out = execFileSync('bash', ['-c', `trap '' XFSZ; ulimit -f 1024; exec "$@"`, '-', tsx, '-e', script, path], {
      encoding: 'utf8',
      env: { ...process.env, TSX_DISABLE_CACHE: '1' },
    });
    expect(out).toMatch(/SafetensorsError .*x\.safetensors.*cannot be written.*EFBIG.*unchanged/);
    expect(await readdir(folder)).toEqual(['x.safetensors']);
    expect((await readSafetensors(path)).tensors.get('w')?.data).toEqual(Float32Array.of(7));
  });

  it('removes what a killed process left, not what a living one writes', async () => {
    const dead = `${path}.4194300-0.tmp`;
    const living = `${path}.${process.pid}-999.tmp`;
    await Promise.all([writeFile(dead, 'x'), writeFile(living, 'x')]);
    await writeSafetensors(path, small(1));
    await expect(stat(dead)).rejects.toThrow(/ENOENT/);
    await expect(stat(living)).resolves.toBeDefined();
  });

  it('two writers at once leave one of the two files, whole', async () => {
    await Promise.all([1, 2, 3, 4].map((value) => writeSafetensors(path, small(value))));
    expect((await readSafetensors(path)).tensors.get('w')?.data[0]).toBeOneOf([1, 2, 3, 4]);
  });
});
