/** The nearest float16, ties to even; what is too large becomes infinite. */
export function toFloat16(value: number): number {
  const magnitude = Math.abs(value);
  if (!Number.isFinite(value) || magnitude === 0) return value;
  if (magnitude >= 65520) return Math.sign(value) * Number.POSITIVE_INFINITY;
  const spacing = 2 ** (Math.max(Math.floor(Math.log2(magnitude)), -14) - 10);
  const steps = magnitude / spacing;
  const below = Math.floor(steps);
  const up = steps - below > 0.5 || (steps - below === 0.5 && below % 2 === 1);
  return Math.sign(value) * (below + (up ? 1 : 0)) * spacing;
}
