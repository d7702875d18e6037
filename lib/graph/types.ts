// What a value is: element type, storage format, logical shape.

export type DType = 'float32' | 'float64' | 'bfloat16' | 'float16' | 'uint8' | 'int32';

/** What a shape means: `activation` [N, C, H, W], `filter` [O, I / groups, kh, kw], `plain` dense row-major of any rank. */
export type Format = 'activation' | 'filter' | 'plain';

export type Shape = readonly number[];

/** Host-side data: dense, in logical order. bfloat16 and float16 values cross as float32. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array;

export interface ValueType {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly format: Format;
}

const bytesPerElement: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  int32: 4,
  bfloat16: 2,
  float16: 2,
  uint8: 1,
};

export const dtypes = Object.keys(bytesPerElement);

export const formats = ['activation', 'filter', 'plain'];

export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of the dense value; a device may pad. */
export function denseBytes(type: ValueType): number {
  return elements(type.shape) * bytesPerElement[type.dtype];
}

export function isFloat(dtype: DType): boolean {
  return dtype !== 'uint8' && dtype !== 'int32';
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

export function sameType(a: ValueType, b: ValueType): boolean {
  return a.dtype === b.dtype && a.format === b.format && sameShape(a.shape, b.shape);
}

/** Only the type, without what else the object (a Value) carries. */
export function typeOf({ shape, dtype, format }: ValueType): ValueType {
  return { shape, dtype, format };
}

export function shapeText(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

export function typeText(type: ValueType): string {
  return `${type.dtype} ${type.format} ${shapeText(type.shape)}`;
}

type HostArrayConstructor =
  | Float32ArrayConstructor
  | Float64ArrayConstructor
  | Int32ArrayConstructor
  | Uint8ArrayConstructor;

/** The typed array in which values of this dtype cross between JavaScript and the device. */
export function hostArrayOf(dtype: DType): HostArrayConstructor {
  if (dtype === 'float64') return Float64Array;
  if (dtype === 'int32') return Int32Array;
  if (dtype === 'uint8') return Uint8Array;
  return Float32Array;
}
