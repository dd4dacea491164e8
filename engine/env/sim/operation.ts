/**
 * Operations on the simulated disk as data: what hooks see, what fault rules match, what a crash may half do. Also the errors a
 * simulated system call throws, in the form of Node's.
 */
import type { FileState } from './file-state.ts'

export type OperationKind =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'stat'
  | 'list'
  | 'makeDirectory'
  | 'rename'
  | 'link'
  | 'remove'
  | 'removeDirectory'
  | 'syncDirectory'

/** Kinds that change the cache or the disk; only these are counted and offered to hooks, since a crash differs only around them. */
const mutating: ReadonlySet<OperationKind> = new Set<OperationKind>([
  'create',
  'write',
  'truncate',
  'sync',
  'makeDirectory',
  'rename',
  'link',
  'remove',
  'removeDirectory',
  'syncDirectory',
])

export interface DiskOperation {
  readonly kind: OperationKind
  /** Resolved path; for operations on a handle, the path it was opened with. */
  readonly path: string
  /** Target of a rename or link. */
  readonly to?: string
  /** First byte of a read or write. */
  readonly position?: number
  /** Bytes to read or write, or the new size. */
  readonly size?: number
  /** True for a write on a 'write-dsync' handle. */
  readonly dsync?: boolean
}

/** An operation with what it works on. */
export interface PreparedOperation extends DiskOperation {
  /** File of an operation on a handle. */
  readonly file?: FileState
  /** Source of a write, target of a read. */
  readonly bytes?: Uint8Array
}

export function isMutating(kind: OperationKind): boolean {
  return mutating.has(kind)
}

/** Virtual milliseconds an asynchronous operation takes: uniform between the two. */
export type LatencyMs = readonly [least: number, most: number]
export type Latencies = Readonly<Record<OperationKind, LatencyMs>>

export const defaultLatencies: Latencies = {
  open: [0.02, 0.1],
  create: [0.05, 0.3],
  read: [0.02, 0.2],
  write: [0.02, 0.3],
  truncate: [0.02, 0.3],
  sync: [0.1, 2],
  stat: [0.01, 0.1],
  list: [0.02, 0.2],
  makeDirectory: [0.05, 0.3],
  rename: [0.05, 0.3],
  link: [0.05, 0.3],
  remove: [0.05, 0.3],
  removeDirectory: [0.1, 1],
  syncDirectory: [0.1, 2],
}

const messages: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EIO: 'i/o error',
  EISDIR: 'illegal operation on a directory',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
}

export function systemError(code: string, operation: DiskOperation): Error {
  const message = `${code}: ${messages[code] ?? 'error'}, ${operation.kind} '${operation.path}'`
  return Object.assign(new Error(message), { code, syscall: operation.kind, path: operation.path })
}
