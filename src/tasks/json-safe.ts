/** Types of a task's arguments, which are sent as JSON. */
import type { JsonValue } from '../json/json-value.js'

/** Appears in compiler errors, and says why an argument can't be sent; no value has this type. */
export interface NotJson<Reason extends string> {
  /** The reason, and what to do instead. */
  readonly notJson: Reason
}

/**
 * `T` if JSON carries it unchanged; {@link NotJson} in place of what JSON would change or refuse: a Date, bytes, a Map,
 * an object with methods. `unknown` and `any` are accepted and checked at run time.
 */
export type JsonSafe<T> = unknown extends T
  ? T
  : [T] extends [never]
    ? T
    : [T] extends [bigint]
      ? NotJson<'a small integer arrives as a number: declare number | bigint'>
      : [T] extends [JsonValue | undefined]
        ? T
        : EachJsonSafe<T>

/** {@link JsonSafe} of each argument of a list, which keeps its names. */
export type JsonSafeList<Args extends unknown[]> = { [Index in keyof Args]: JsonSafe<Args[Index]> }

/** {@link JsonSafe} of each member of a union. */
type EachJsonSafe<T> = T extends JsonValue | undefined
  ? T
  : T extends Date
    ? NotJson<'a Date arrives as its ISO text: pass the text, or milliseconds'>
    : T extends ArrayBuffer | SharedArrayBuffer | DataView
      ? NotJson<'JSON has no bytes: pass base64 text, or the path of a file'>
      : T extends ArrayBufferView
        ? NotJson<'a typed array arrives as a list of numbers: declare number[]'>
        : T extends ReadonlyMap<unknown, unknown> | WeakMap<WeakKey, unknown>
          ? NotJson<'JSON has no Map: pass an object, or its entries'>
          : T extends ReadonlySet<unknown> | WeakSet<WeakKey>
            ? NotJson<'JSON has no Set: pass an array'>
            : T extends symbol | ((...args: never[]) => unknown)
              ? NotJson<'JSON carries data, not code'>
              : T extends readonly unknown[]
                ? { [Index in keyof T]: JsonSafe<T[Index]> }
                : T extends object
                  ? [MethodNames<T>] extends [never]
                    ? { [Key in keyof T]: JsonSafe<T[Key]> }
                    : NotJson<'an object with methods arrives without them: pass its data'>
                  : T

type MethodNames<T> = {
  [Key in keyof T]-?: NonNullable<T[Key]> extends (...args: never[]) => unknown ? Key : never
}[keyof T]
