/**
 * The same protection for class methods: one decorator for the standard and for the legacy convention.
 */
import { show } from '../core/options.ts'
import type { AlternativeOf, PolicyLike } from '../core/policy.ts'
import { resembling } from '../core/wrapper.ts'

type AsyncMethod = (this: never, ...args: never) => PromiseLike<unknown>

/** Decorates a method that returns a promise; works with standard and with legacy decorators. */
export interface MethodProtection<Alt = never> {
  <Method extends AsyncMethod>(
    method: Answering<Method, Alt>,
    context: ClassMethodDecoratorContext,
  ): Method
  <Method extends AsyncMethod>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Answering<Method, Alt>>,
  ): TypedPropertyDescriptor<Method>
}

/** The method, if its answers may be what the policy answers in its place; a decorator cannot widen it. */
type Answering<Method extends AsyncMethod, Alt> = [Alt] extends [Awaited<ReturnType<Method>>]
  ? Method
  : never

/**
 * Puts a method under a policy: `@protect(policy)`.
 *
 * `this`, arguments, name, length and reflect-metadata are kept. All instances share the policy: a
 * breaker of the class, not of the object.
 *
 * **Use it** on methods that return a promise. **Not for** accessors, fields and constructors.
 *
 * @throws TypeError when it decorates anything but a method.
 *
 * @example
 * ```ts
 * import { protect, retry } from 'holdfast'
 *
 * class Shop {
 *   tries = 0
 *
 *   @protect(retry({ baseDelay: 1 }))
 *   async product(id: string): Promise<string> {
 *     if (++this.tries < 2) throw new Error('busy')
 *     return `product ${id}`
 *   }
 * }
 * await new Shop().product('42') // => 'product 42'
 * ```
 */
export function protect<P extends PolicyLike<unknown>>(
  policy: P,
): MethodProtection<AlternativeOf<P>> {
  if (typeof (policy as { execute?: unknown } | null | undefined)?.execute !== 'function') {
    throw new TypeError(`protect: policy must have an execute method, but was ${show(policy)}`)
  }
  function decorate(target: unknown, context: unknown, descriptor?: PropertyDescriptor): unknown {
    if (isStandard(context)) {
      if (context.kind !== 'method') throw notAMethod(`a ${context.kind}`, context.name)
      return protectMethod(policy, target as Method)
    }
    const method: unknown = descriptor?.value
    if (typeof method !== 'function') throw notAMethod('no method', context as string)
    return { ...descriptor, value: protectMethod(policy, method as Method) }
  }
  return decorate as MethodProtection<AlternativeOf<P>>
}

type Method = (this: unknown, ...args: unknown[]) => unknown

interface StandardContext {
  readonly kind: string
  readonly name: string | symbol
}

function isStandard(context: unknown): context is StandardContext {
  return typeof context === 'object' && context !== null && 'kind' in context
}

function notAMethod(found: string, name: string | symbol): TypeError {
  return new TypeError(
    `protect: "${String(name)}" is ${found}; decorate a method that returns a promise`,
  )
}

interface Wrapping {
  wrap?(method: Method): Method
}

function protectMethod(policy: PolicyLike<unknown>, method: Method): Method {
  const { wrap } = policy as Wrapping
  const wrapped: Method =
    typeof wrap === 'function'
      ? wrap.call(policy, method)
      : function (this: unknown, ...args) {
          return policy.execute(() => method.apply(this, args))
        }
  copyMetadata(method, wrapped)
  return resembling(wrapped, method)
}

/** Frameworks such as Nest keep what they know of a method on the function itself. */
function copyMetadata(from: object, to: object): void {
  const reflect = Reflect as {
    getOwnMetadataKeys?(target: object): unknown[]
    getOwnMetadata?(key: unknown, target: object): unknown
    defineMetadata?(key: unknown, value: unknown, target: object): void
  }
  for (const key of reflect.getOwnMetadataKeys?.(from) ?? []) {
    reflect.defineMetadata?.(key, reflect.getOwnMetadata?.(key, from), to)
  }
}
