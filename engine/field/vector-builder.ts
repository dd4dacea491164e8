/**
 * Builds a vector row by row without knowing what the rows hold: it begins with the kind of the first value that is not null and becomes a vector of any values when
 * another kind comes. Used again for one chunk after the other; what `finish` returns is not touched any more.
 *
 * Texts are ranges of one buffer, `source`, which the vector keeps; text from anywhere else is a string and goes the way of any value.
 */
import { AnyVector, BOOLEAN_NULL, BooleanVector, NumberVector, nullVector, TextVector, type Vector } from './vector.ts'

const KIND_NONE = 0
const KIND_NUMBER = 1
const KIND_BOOLEAN = 2
const KIND_TEXT = 3
const KIND_ANY = 4

/** Builds one vector after the other. */
export class VectorBuilder {
  #kind = KIND_NONE
  #size = 0
  #numbers: Float64Array = new Float64Array(0)
  #bytes: Uint8Array = new Uint8Array(0)
  /** Whether `#bytes` has a null of numbers. */
  #hasNulls = false
  #starts: Int32Array = new Int32Array(0)
  #ends: Int32Array = new Int32Array(0)
  #values: unknown[] = []
  #source: Uint8Array = new Uint8Array(0)
  #capacity = 0

  /** Begins a vector of at most `capacity` rows, whose texts lie in `source`. */
  begin(capacity: number, source: Uint8Array): void {
    this.#kind = KIND_NONE
    this.#size = 0
    this.#capacity = capacity
    this.#source = source
    this.#hasNulls = false
  }

  /** Rows so far. */
  get size(): number {
    return this.#size
  }

  /** A number. */
  number(value: number): void {
    if (this.#kind === KIND_NUMBER) this.#numbers[this.#size++] = value
    else if (this.#kind === KIND_NONE) {
      this.#become(KIND_NUMBER)
      this.#numbers[this.#size++] = value
    } else this.any(value)
  }

  /** A truth value. */
  boolean(value: boolean): void {
    if (this.#kind === KIND_NONE) this.#become(KIND_BOOLEAN)
    if (this.#kind === KIND_BOOLEAN) this.#bytes[this.#size++] = value ? 1 : 0
    else this.any(value)
  }

  /** The text in `[start, end)` of the source; valid UTF-8. */
  text(start: number, end: number): void {
    if (this.#kind === KIND_NONE) this.#become(KIND_TEXT)
    if (this.#kind === KIND_TEXT) {
      this.#starts[this.#size] = start
      this.#ends[this.#size++] = end
    } else this.any(new TextVector(this.#source, Int32Array.of(start), Int32Array.of(end)).get(0))
  }

  /** Nothing. */
  null(): void {
    switch (this.#kind) {
      case KIND_NUMBER:
        if (!this.#hasNulls) {
          this.#hasNulls = true
          this.#bytes = new Uint8Array(this.#capacity)
        }
        this.#bytes[this.#size++] = 1
        break
      case KIND_BOOLEAN:
        this.#bytes[this.#size++] = BOOLEAN_NULL
        break
      case KIND_TEXT:
        this.#starts[this.#size++] = -1
        break
      case KIND_ANY:
        this.#values.push(null)
        this.#size++
        break
      default:
        this.#size++
    }
  }

  /** Any value; those that a narrow vector holds go there. */
  any(value: unknown): void {
    if (value === null || value === undefined) this.null()
    else if (this.#kind <= KIND_NUMBER && typeof value === 'number') this.number(value)
    else if ((this.#kind === KIND_NONE || this.#kind === KIND_BOOLEAN) && typeof value === 'boolean') this.boolean(value)
    else {
      if (this.#kind !== KIND_ANY) this.#widen()
      this.#values.push(value)
      this.#size++
    }
  }

  /** The vector of the rows since `begin`. */
  finish(): Vector {
    const size = this.#size
    switch (this.#kind) {
      case KIND_NUMBER:
        return new NumberVector(this.#numbers, this.#hasNulls ? this.#bytes : undefined)
      case KIND_BOOLEAN:
        return new BooleanVector(this.#bytes)
      case KIND_TEXT:
        return new TextVector(this.#source, this.#starts, this.#ends)
      case KIND_ANY: {
        const values = this.#values
        this.#values = []
        return new AnyVector(values)
      }
      default:
        return nullVector(size)
    }
  }

  /** The first value tells the kind; rows before it were null. */
  #become(kind: number): void {
    this.#kind = kind
    const before = this.#size
    if (kind === KIND_NUMBER) {
      this.#numbers = new Float64Array(this.#capacity)
      if (before > 0) {
        this.#hasNulls = true
        this.#bytes = new Uint8Array(this.#capacity).fill(1, 0, before)
      }
    } else if (kind === KIND_BOOLEAN) this.#bytes = new Uint8Array(this.#capacity).fill(BOOLEAN_NULL, 0, before)
    else {
      this.#starts = new Int32Array(this.#capacity).fill(-1, 0, before)
      this.#ends = new Int32Array(this.#capacity)
    }
  }

  #widen(): void {
    const size = this.#size
    const values: unknown[] = []
    if (this.#kind === KIND_NONE) for (let i = 0; i < size; i++) values.push(null)
    else {
      const narrow = this.finish()
      for (let i = 0; i < size; i++) values.push(narrow.get(i))
    }
    this.#values = values
    this.#kind = KIND_ANY
  }
}

/** A vector of these values, null and undefined for nothing. The array is the vector's from now on. */
export function vectorOf(values: readonly unknown[]): Vector {
  // Texts, and whatever is no number and no truth value, stay as they are.
  const first = values.find(value => value !== null && value !== undefined)
  if (first !== undefined && typeof first !== 'number' && typeof first !== 'boolean') return new AnyVector(values)
  const builder = new VectorBuilder()
  builder.begin(values.length, new Uint8Array(0))
  for (const value of values) builder.any(value)
  return builder.finish()
}
