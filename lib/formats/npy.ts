// NumPy's .npy, version 1.0: one array, dense in logical order.
import { writeFile } from 'node:fs/promises';

const types = new Map<string, string>([
  ['Float32Array', '<f4'],
  ['Float64Array', '<f8'],
  ['Int32Array', '<i4'],
  ['Uint8Array', '|u1'],
]);

type NpyArray = Float32Array | Float64Array | Int32Array | Uint8Array;

export async function writeNpy(path: string, shape: readonly number[], data: NpyArray): Promise<void> {
  await writeFile(path, encodeNpy(shape, data));
}

/** The header's length is such that the data begins at a multiple of 64. */
export function encodeNpy(shape: readonly number[], data: NpyArray): Uint8Array {
  const descr = types.get(data.constructor.name) as string;
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const fields = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${axes}), }`;
  const text = fields.padEnd(64 * Math.ceil((10 + fields.length + 1) / 64) - 11);
  const header = Buffer.alloc(10);
  header.write('\x93NUMPY\x01\x00', 'latin1');
  header.writeUInt16LE(text.length + 1, 8);
  return Buffer.concat([
    header,
    Buffer.from(`${text}\n`, 'latin1'),
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ]);
}
