/** An argument is out of range, of the wrong kind, or names something that does not exist. */
export class ArgumentError extends Error {
  override readonly name: string = 'ArgumentError';
  readonly code: string = 'ERR_ARGUMENT';
}

/** Shapes, dtypes or formats of an op's values do not fit each other. */
export class ShapeError extends Error {
  override readonly name: string = 'ShapeError';
  readonly code: string = 'ERR_SHAPE';
}

/** The names most like `name`, nearest first, for "did you mean". */
export function closest(name: string, names: Iterable<string>, count = 3): string[] {
  return [...names]
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

/** Refuses options that nobody reads, which are nearly always misspelt. */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const [nearest] = closest(unknown, known, 1);
  throw new ArgumentError(
    `${where}: there is no option '${unknown}'; did you mean '${nearest}'? All: ${known.join(', ')}`,
  );
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
