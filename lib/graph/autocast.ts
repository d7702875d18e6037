import { ArgumentError } from './errors.ts';
import type { Graph, Node, Value } from './graph.ts';
import { ruleOf, type Target } from './registry.ts';
import { rewrite } from './rewrite.ts';
import { type DType, isFloat, typeOf } from './types.ts';

/**
 * The forward graph with convolutions, matrix products and what stands between them in half precision. Parameters, statistics
 * and the loss stay float32: weights are cast where they are read. Apply before gradient(); find values by name.
 */
export function autocast(graph: Graph, dtype: 'bfloat16' | 'float16'): Graph {
  if (dtype !== 'bfloat16' && dtype !== 'float16') {
    throw new ArgumentError(`autocast: dtype must be 'bfloat16' or 'float16', got ${String(dtype)}`);
  }
  if (graph.dtype !== 'float32')
    throw new ArgumentError(`autocast: the graph is ${graph.dtype}; only float32 graphs can be cast`);
  const casts = new Map<Value, Value>();
  return rewrite(graph, graph.nodes, (node, target) => emitCast(node, target, dtype, casts));
}

function emitCast(node: Node, target: Target, low: DType, casts: Map<Value, Value>): Value[] {
  const rule = ruleOf(node.op).lowPrecision;
  const inputs = node.inputs.map((input, i) => {
    const lowers = rule?.inputs === 'all' || rule?.inputs.includes(i);
    const wanted = lowers && isFloat(input.dtype) ? low : input.dtype;
    return castTo(target, target.map(input), wanted, casts);
  });
  const outputs = node.outputs.map((output, i) => {
    if (output.storage === 'variable') return target.map(output);
    return rule?.outputs.includes(i) ? { ...typeOf(output), dtype: low } : typeOf(output);
  });
  return target.graph.emit(node.op, inputs, outputs, node.attributes);
}

/** One cast per value: the lower and the full precision of a value are each other's only counterpart. */
function castTo({ graph }: Target, value: Value, dtype: DType, casts: Map<Value, Value>): Value {
  if (value.dtype === dtype) return value;
  const known = casts.get(value);
  if (known) return known;
  const [cast] = graph.emit('cast', [value], [{ ...typeOf(value), dtype }]) as [Value];
  casts.set(value, cast);
  return cast;
}
