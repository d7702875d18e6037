// Fusion where time decides, on a device that measures: a group is formed where its nodes take less time than those that
// stand there without it. Passes build on each other, and so do the questions: each is about what the passes before left.
import { type Excerpt, fuse, type Graph, type Group, structureText } from './graph/index.ts';
import type { NativeDevice } from './native.ts';
import { nativeVariable, toNative } from './native-graph.ts';
import { variablesOf } from './state.ts';

/** Whether the fused side of a group takes less time, by the text that stands for the question. */
export type Answers = Map<string, boolean>;

/** As fuse(); answers that are not known are asked for, one after the other, and added to those that are. */
export async function fuseByTime(
  graph: Graph,
  features: ReadonlySet<string>,
  keep: readonly string[],
  answers: Answers,
  isFaster: (question: string, group: Group) => Promise<boolean>,
): Promise<Graph> {
  for (;;) {
    const open = new Map<string, Group>();
    const fused = fuse(graph, features, keep, (group) => {
      const question = questionOf(group);
      const answer = answers.get(question);
      if (answer === undefined) open.set(question, group);
      return answer ?? true;
    });
    if (open.size === 0) return fused;
    for (const [question, group] of open) answers.set(question, await isFaster(question, group));
  }
}

/** The line by which the answer is kept: equal for groups that are computed alike. */
function questionOf({ op, unfused }: Group): string {
  return `group ${op}: ${structureText(unfused.graph)}`;
}

/** Asks the device, which keeps what it measures. */
export function fasterOn(device: Pick<NativeDevice, 'fastest'>) {
  return async (question: string, { fused, unfused }: Group): Promise<boolean> => {
    const variables = variablesOf(fused.graph, unfused.graph);
    const names = variables.map(({ name }) => name);
    const alternative = (name: string, { graph, outputs }: Excerpt) => {
      return { name, graph: toNative(graph, (variable) => names.indexOf(variable), new Set(outputs)) };
    };
    const alternatives = [alternative('fused', fused), alternative('unfused', unfused)];
    return (await device.fastest(question, variables.map(nativeVariable), alternatives)) === 'fused';
  };
}
