/** Data that cannot be used: says which file, what is wrong with it, and what to do. */
export class DataError extends Error {
  override readonly name = 'DataError';
  readonly file: string;
  readonly problem: string;
  readonly cure: string;

  constructor(
    file: string,
    problem: string,
    cure: string,
    more: { cause?: unknown; details?: readonly string[] } = {},
  ) {
    const details = (more.details ?? []).map((line) => `\n  ${line}`).join('');
    super(`${file}: ${problem}. ${cure}.${details}`, more.cause === undefined ? undefined : { cause: more.cause });
    this.file = file;
    this.problem = problem;
    this.cure = cure;
  }
}
