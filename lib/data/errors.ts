/** Data that cannot be used: says which file, what is wrong with it, and what to do. */
export class DataError extends Error {
  override readonly name = 'DataError';
  readonly file: string;
  readonly cure: string;

  constructor(file: string, problem: string, cure: string, cause?: unknown) {
    super(`${file}: ${problem}. ${cure}.`, cause === undefined ? undefined : { cause });
    this.file = file;
    this.cure = cure;
  }
}
