import type { Value } from '../graph/index.ts';
import { add, flatten, relu } from '../ops/index.ts';
import { Module } from './module.ts';

/** max(x, 0). */
export class ReLU extends Module {
  override forward(x: Value): Value {
    return relu(x);
  }
}

/** [N, C, H, W] to [N, C·H·W]. */
export class Flatten extends Module {
  override forward(x: Value): Value {
    return flatten(x);
  }
}

export class Identity extends Module {
  override forward(x: Value): Value {
    return x;
  }
}

/** The sum of its two inputs. */
export class Add extends Module {
  override forward(a: Value, b: Value): Value {
    return add(a, b);
  }
}
