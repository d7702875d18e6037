/** A safetensors file that cannot be read or written: says which file, which tensor, what is wrong. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
  readonly file: string;
  readonly tensor: string | undefined;

  constructor(file: string, problem: string, options: { tensor?: string; cause?: unknown } = {}) {
    const where = options.tensor === undefined ? '' : `tensor ${JSON.stringify(options.tensor)}: `;
    super(`${file}: ${where}${problem}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.file = file;
    this.tensor = options.tensor;
  }
}

/** F16 and BF16 are kept as their bits. */
export interface TensorArrays {
  F64: Float64Array;
  F32: Float32Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I64: BigInt64Array;
  I32: Int32Array;
  U8: Uint8Array;
}

export type TensorDType = keyof TensorArrays;

export type Tensor = {
  [D in TensorDType]: { readonly dtype: D; readonly shape: readonly number[]; readonly data: TensorArrays[D] };
}[TensorDType];

const ARRAYS = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  U8: Uint8Array,
} as const;

export const DTYPES = Object.keys(ARRAYS) as TensorDType[];

export function isTensorDType(name: string): name is TensorDType {
  return Object.hasOwn(ARRAYS, name);
}

export function arrayOf(dtype: TensorDType) {
  return ARRAYS[dtype];
}

export function elementBytes(dtype: TensorDType): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** Bytes of a tensor, or undefined where the count leaves the safe integers. */
export function tensorBytes(dtype: TensorDType, shape: readonly number[]): number | undefined {
  let bytes = elementBytes(dtype);
  for (const n of shape) bytes = bytes === 0 || n === 0 ? 0 : bytes * n;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
