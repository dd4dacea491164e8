/** Types of rows: which paths they have, and what lies at one. Rows of unknown type have any path. */
import type { Aggregate } from '../aggregate/aggregate.ts'
import type { Expression } from '../expression/expression.ts'
import type { JoinKind } from '../plan/node.ts'
import type { WindowFunction } from '../window/window-function.ts'

type Leaf = string | number | bigint | boolean | null | undefined | symbol | Date | Uint8Array | ((...args: never) => unknown)

/** Whether a type tells nothing of its fields. */
type IsOpen<T> = unknown extends T ? true : string extends keyof T ? true : false

/** Paths of a row, as `col` and `keyBy` take them: names joined by dots, three deep; below that, and of lists, any text. */
export type PathOf<T, Depth extends readonly 0[] = []> =
  IsOpen<T> extends true
    ? string
    : NonNullable<T> extends Leaf
      ? never
      : NonNullable<T> extends readonly unknown[]
        ? `${number}` | `${number}.${string}`
        : Depth['length'] extends 3
          ? string
          : {
              [Name in keyof NonNullable<T> & string]:
                | Name
                | (IsOpen<NonNullable<T>[Name]> extends true
                    ? `${Name}.${string}`
                    : `${Name}.${PathOf<NonNullable<T>[Name], [...Depth, 0]>}`)
            }[keyof NonNullable<T> & string]

/** What a row has at a path; unknown where the type does not tell. */
export type ValueAt<T, Path extends string> =
  IsOpen<T> extends true
    ? unknown
    : Path extends keyof NonNullable<T>
      ? NonNullable<T>[Path]
      : Path extends `${infer Name}.${infer Rest}`
        ? Name extends keyof NonNullable<T>
          ? ValueAt<NonNullable<T>[Name], Rest>
          : unknown
        : unknown

/** A field that is computed: a path, or an expression over paths of the row. */
export type FieldOf<T> = PathOf<T> | Expression<unknown, PathOf<T>>

/** What fields give, by their names. */
export type FieldValues<T, Fields extends Readonly<Record<string, unknown>>> = {
  -readonly [Name in keyof Fields]: Fields[Name] extends Expression<infer Value, string>
    ? Value
    : Fields[Name] extends string
      ? ValueAt<T, Fields[Name]>
      : never
}

/** What aggregates give, by their names. */
export type AggregateValues<Aggregates extends Readonly<Record<string, unknown>>> = {
  -readonly [Name in keyof Aggregates]: Aggregates[Name] extends Aggregate<infer Result, string> ? Result : never
}

/** One type in place of an intersection, as editors show it. */
export type Flat<T> = { [Name in keyof T]: T[Name] }

/** What functions over windows give, by their names. */
export type WindowValues<Windows extends Readonly<Record<string, unknown>>> = {
  -readonly [Name in keyof Windows]: Windows[Name] extends WindowFunction<infer Result, string> ? Result : never
}

/** A row with these fields in place of, or beside, its own. */
export type Extended<T, Fields> = Flat<Omit<T, keyof Fields> & Fields>

type Both<T, U> = { [Name in keyof T & keyof U]: T[Name] | U[Name] }

/** What a join gives for rows of these types. */
export type Joined<T, U, How extends JoinKind> = How extends 'semi' | 'anti'
  ? T
  : IsOpen<T> | IsOpen<U> extends false
    ? Flat<
        (How extends 'right' | 'full' ? Partial<Omit<T, keyof U>> : Omit<T, keyof U>) &
          (How extends 'left' | 'full' ? Partial<Omit<U, keyof T>> : Omit<U, keyof T>) &
          Both<T, U>
      >
    : Record<string, unknown>

/** The left row of a pair, null where a kind of join gives right rows without one. */
export type LeftOf<T, How extends JoinKind> = How extends 'right' | 'full' ? T | null : T

/** The right row of a pair, null where a kind of join gives left rows without one. */
export type RightOf<U, How extends JoinKind> = How extends 'left' | 'full' ? U | null : U

/** A key of rows: a field, several, or what a function returns. */
export type KeyOf<T> = FieldOf<T> | readonly FieldOf<T>[] | ((row: T) => unknown)

/** What must be equal for rows to belong together: fields that both have, or keys of each side. */
export type JoinOn<T, U> =
  | { readonly on: (PathOf<T> & PathOf<U>) | readonly (PathOf<T> & PathOf<U>)[]; readonly left?: undefined; readonly right?: undefined }
  | { readonly on?: undefined; readonly left: KeyOf<T>; readonly right: KeyOf<U> }
