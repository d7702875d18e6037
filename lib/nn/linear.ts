import { checkOptions, type Value } from '../graph/index.ts';
import { linear } from '../ops/index.ts';
import { size } from './check.ts';
import { type Initialiser, uniformByFan } from './init.ts';
import { Module, Parameter } from './module.ts';

export interface LinearOptions {
  /** Default true. */
  readonly bias?: boolean;
  /** Of the weight. Default: uniform in ±1 / √in, as in torch. */
  readonly initialiser?: Initialiser;
}

/** y = x Aᵀ + b; parameters `weight` [out, in] and `bias` [out]. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias?: Parameter;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    checkOptions('Linear', options, ['bias', 'initialiser']);
    const { bias = true, initialiser } = options;
    size('Linear', 'inFeatures', inFeatures);
    size('Linear', 'outFeatures', outFeatures);
    this.weight = new Parameter({
      shape: [outFeatures, inFeatures],
      initialiser: initialiser ?? uniformByFan(inFeatures),
    });
    if (bias) this.bias = new Parameter({ shape: [outFeatures], initialiser: uniformByFan(inFeatures) });
  }

  override forward(x: Value): Value {
    return linear(x, this.weight.variable(x.graph), { bias: this.bias?.variable(x.graph) });
  }
}
