/** Answers of single-log writes, made of the commit they are. Promises stay lazy: nothing is created until somebody looks. */
import { assert } from '../errors.ts'
import type { Appended, Committed } from './log.ts'

/** Of a commit with one append. */
export function appendedOf(committed: Committed): Appended {
  const append = committed.appends[0]
  assert(append !== undefined, 'a commit of an append has an answer')
  // Several ready batches answer as one append.
  const last = committed.appends.at(-1) ?? append
  return answer(committed, append.baseOffset, last.endOffset, append.duplicate)
}

/** Of a commit without appends: both offsets are the log's end after it. */
export function answerAt(committed: Committed, offset: number): Appended {
  return answer(committed, offset, offset, false)
}

function answer(committed: Committed, baseOffset: number, endOffset: number, duplicate: boolean): Appended {
  return {
    baseOffset,
    endOffset,
    duplicate,
    get written() {
      return committed.written
    },
    get durable() {
      return committed.durable
    },
    get acknowledged() {
      return committed.acknowledged
    },
  }
}
