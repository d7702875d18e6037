const bits = new DataView(new ArrayBuffer(4));

/** The nearest bfloat16, ties to even. */
export function toBfloat16(value: number): number {
  if (!Number.isFinite(value)) return value;
  bits.setFloat32(0, value);
  const word = bits.getUint32(0);
  bits.setUint32(0, (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000);
  return bits.getFloat32(0);
}
