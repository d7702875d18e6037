// Fusion: replaces groups of nodes by one node where the device has the kernel; lower() is the inverse. Before it, folding:
// arithmetic that depends on weights alone is taken out of the nodes that do it to activations. After it, remaking: what
// is quickly made is made anew by all that read it, forward and backward, and not stored.
// Which groups, and what a node means that stands for one, each op's file says (fold, fuse, remake, lower in its rule).
import type { Graph, Node, Value } from './graph.ts';
import { type Folding, type Match, ruleOf, rulesOf, type Target } from './registry.ts';
import { copy, type Excerpt, excerpt, rewrite } from './rewrite.ts';

/**
 * The names by which compile() switches them: of all folding and fused ops, and `concat`, whose inputs native code lets
 * their producers write in place.
 */
export function fusions(): readonly string[] {
  return [...[...rulesOf('fold'), ...rulesOf('fuse'), ...rulesOf('remake')].map(([op]) => op), 'concat'].sort();
}

/** A group that fuse() found, and what stands there without it: two graphs over the same values. */
export interface Group {
  /** One of fusions(). */
  readonly op: string;
  readonly fused: Excerpt;
  readonly unfused: Excerpt;
}

/** Whether a group is to be formed. */
export type Choose = (group: Group) => boolean;

/**
 * Folds, fuses and remakes with what `features` offers as `op:<name>`, as far as `choose` (default: always) agrees. Values named
 * in `keep` stay readable: nothing that hides them is replaced.
 */
export function fuse(
  graph: Graph,
  features: ReadonlySet<string>,
  keep: readonly string[] = [],
  choose?: Choose,
): Graph {
  const isOffered = ([op]: [string, unknown]) => features.has(`op:${op}`);
  const folds = rulesOf('fold')
    .filter(isOffered)
    .map(([op, find]): Finder => ({ op, find: (last) => listOf(find(last)) }));
  const fuses = rulesOf('fuse')
    .filter(isOffered)
    .map(([op, match]): Finder => ({ op, find: (last) => listOf(fusedNode(op, match(last))) }));
  const remakes = rulesOf('remake')
    .filter(isOffered)
    .map(([op, find]): Finder => ({ op, find }));
  return [folds, fuses, remakes].reduce((result, finders) => replaceGroups(result, keep, finders, choose), graph);
}

interface Finder {
  readonly op: string;
  /** Parts of one group, each in its place. */
  readonly find: (last: Node) => readonly Folding[] | undefined;
}

function listOf(found: Folding | undefined): readonly Folding[] | undefined {
  return found && [found];
}

function fusedNode(op: string, match: Match | undefined): Folding | undefined {
  return match && { ...match, emit: (target) => copy({ op, path: '', ...match }, target) };
}

function replaceGroups(
  graph: Graph,
  keep: readonly string[],
  finders: readonly Finder[],
  choose: Choose | undefined,
): Graph {
  const plan = new Plan(graph, new Set(keep.map((name) => graph.find(name))), choose);
  for (const node of graph.nodes) {
    for (const { op, find } of finders) {
      const found = find(node);
      if (found) plan.replace(op, found);
    }
  }
  return rewrite(graph, plan.nodes, (node, target) => plan.emit(node, target));
}

/** Replaces the fused nodes that the device does not offer by their unfused form. */
export function lower(graph: Graph, features: ReadonlySet<string>): Graph {
  return rewrite(graph, graph.nodes, (node, target) => {
    const rule = ruleOf(node.op).lower;
    return rule && !features.has(`op:${node.op}`) ? rule(node, target) : copy(node, target);
  });
}

class Plan {
  nodes: readonly Node[];
  readonly #graph: Graph;
  /** By the node that keeps a group's place among the nodes. */
  readonly #replaced = new Map<Node, Folding>();
  readonly #kept: ReadonlySet<Value>;
  readonly #choose: Choose | undefined;

  constructor(graph: Graph, kept: ReadonlySet<Value>, choose: Choose | undefined) {
    this.nodes = graph.nodes;
    this.#graph = graph;
    this.#kept = kept;
    this.#choose = choose;
  }

  replace(op: string, foldings: readonly Folding[]): void {
    const all = new Set(foldings.flatMap(({ nodes }) => nodes));
    const given = foldings.flatMap(({ outputs }) => outputs);
    if (![...all].every((node) => this.nodes.includes(node)) || !this.#hidesNothing(all, given)) return;
    const anchors = foldings.map(({ nodes }) => nodes.find((node) => this.#canGatherAt(node, new Set(nodes))));
    if (anchors.includes(undefined)) return;
    if (this.#choose && !this.#choose(this.#group(op, foldings))) return;
    for (const [i, folding] of foldings.entries()) this.#gather(folding, anchors[i] as Node);
  }

  /** Both sides by themselves, where nobody has chosen yet. */
  #group(op: string, foldings: readonly Folding[]): Group {
    const all = new Set(foldings.flatMap(({ nodes }) => nodes));
    const outputs = foldings.flatMap((folding) => folding.outputs);
    const places = new Map(foldings.map((folding) => [placeOf(folding), folding] as const));
    const unfused = this.nodes.filter((node) => all.has(node));
    return {
      op,
      fused: excerpt(this.#graph, [...places.keys()], outputs, (place, target) => emitted(places, place, target)),
      unfused: excerpt(this.#graph, unfused, outputs, copy),
    };
  }

  #gather(folding: Folding, anchor: Node): void {
    const group = new Set(folding.nodes);
    const place = placeOf(folding);
    this.#replaced.set(place, folding);
    this.nodes = this.nodes.flatMap((node) => {
      if (node === anchor) return [place];
      return group.has(node) ? [] : [node];
    });
  }

  emit(node: Node, target: Target): readonly Value[] {
    return emitted(this.#replaced, node, target);
  }

  /** Values inside the group that the fused node does not give are read by nobody else. */
  #hidesNothing(group: ReadonlySet<Node>, given: readonly Value[]): boolean {
    const inner = [...group].flatMap((node) => node.outputs).filter((value) => !given.includes(value));
    const read = new Set(this.nodes.flatMap((node) => (group.has(node) ? [] : node.inputs)));
    return inner.every((value) => !this.#kept.has(value) && !read.has(value));
  }

  /** Whether moving the whole group to the place of `anchor` changes nothing for the nodes in between. */
  #canGatherAt(anchor: Node, group: ReadonlySet<Node>): boolean {
    const place = this.nodes.indexOf(anchor);
    return [...group].every((node) => {
      const own = this.nodes.indexOf(node);
      const between = this.nodes.slice(Math.min(own, place), Math.max(own, place));
      return between.every((other) => group.has(other) || !conflict(node, other));
    });
  }
}

/** Keeps a folding's place among the nodes. */
function placeOf({ nodes, inputs, outputs }: Folding): Node {
  const { path } = nodes[0] as Node;
  return { op: 'group', path, inputs, outputs, attributes: {} };
}

function emitted(places: ReadonlyMap<Node, Folding>, node: Node, target: Target): readonly Value[] {
  return places.get(node)?.emit(target) ?? copy(node, target);
}

/** Whether the order of two nodes matters: one writes what the other reads or writes. */
function conflict(a: Node, b: Node): boolean {
  return (
    a.outputs.some((value) => b.inputs.includes(value) || b.outputs.includes(value)) ||
    b.outputs.some((value) => a.inputs.includes(value))
  );
}
