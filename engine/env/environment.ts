/**
 * The environment: everything through which the engine touches the world.
 *
 * Deciding code takes time, randomness, timers, files, the catalog view and background work from here and from nowhere else, so that a
 * whole database (later a whole cluster) runs in one thread from one seed. `node/` implements it with Node, LMDB and worker threads;
 * `memory/` without a disk, for tests of applications; `sim/` in memory, inline, in virtual time. Lint bans the globals outside those folders.
 *
 * Paths are strings with `/`; a path handed to `Files` is absolute or relative to the process, as Node takes it.
 */

/** Milliseconds; wall time may jump, monotonic time may not. */
export interface Clock {
  /** Wall clock, milliseconds since 1970, an integer. */
  now(): number
  /** Monotonic milliseconds with fractions; only differences mean something. */
  monotonic(): number
}

/** Random numbers; seeded in simulation. */
export interface Random {
  /** Uniform integer in [0, bound). `bound` is in 1 .. 2^32. */
  below(bound: number): number
  /** 32 uniform bits as an unsigned integer. */
  uint32(): number
}

/** What `setTimeout` and `setImmediate` are elsewhere. */
export interface Timers {
  /** Calls `run` once after at least `delayMs`; the returned function cancels it. Keeps the process alive only when told to. */
  after(delayMs: number, run: () => void, keepsAlive?: boolean): () => void
  /** Calls `run` in a later turn, after what I/O is ready now. Unlike `after` it keeps the process alive until then. */
  soon(run: () => void): void
}

/** How a file is opened. All but 'read' allow reading too. */
export type OpenMode =
  /** Existing file, reading only. */
  | 'read'
  /** Existing file, reading and writing. */
  | 'write'
  /** As 'write'; each write returns when its own range is on the disk (O_DSYNC), where the system has it: see `File.dsync`. */
  | 'write-dsync'
  /** New file, reading and writing; an existing one is an error (EEXIST). */
  | 'create'

/**
 * An open file. Reads and writes loop over short transfers: they complete in full or throw the operating system's error (with its `code`).
 * A read stops early only at the end of the file and returns how many bytes it got.
 */
export interface File {
  /** As it was opened. */
  readonly path: string
  /** True when each write on this handle is durable for its own range as it returns (O_DSYNC). */
  readonly dsync: boolean
  /** Fills `target` from `position` on; how many bytes it got. */
  read(target: Uint8Array, position: number): Promise<number>
  /** As `read`, blocking the thread; into `target[start, end)`, by default all of it. */
  readSync(target: Uint8Array, position: number, start?: number, end?: number): number
  /** Writes all of `source`. */
  write(source: Uint8Array, position: number): Promise<void>
  /** As `write`, blocking the thread. */
  writeSync(source: Uint8Array, position: number): void
  /** fdatasync: bytes written before the call, and the size, survive power loss. */
  sync(): Promise<void>
  /** As `sync`, blocking the thread. */
  syncSync(): void
  /** Bytes. */
  size(): Promise<number>
  /** As `size`, blocking the thread. */
  sizeSync(): number
  /** Makes the file so long. */
  truncate(size: number): Promise<void>
  /** Lets go of the file; once. */
  close(): Promise<void>
  /** As `close`, blocking the thread. */
  closeSync(): void
}

export interface FileStat {
  readonly size: number
  readonly isDirectory: boolean
}

/** Files and folders. Names survive power loss only after `syncDirectory` of their folder. */
export interface Files {
  /** Opens or makes a file. */
  open(path: string, mode: OpenMode): Promise<File>
  /** As `open`, blocking the thread. */
  openSync(path: string, mode: OpenMode): File
  /** Names (not paths) in the folder, sorted by code unit. */
  list(path: string): Promise<string[]>
  /** As `list`, blocking the thread. */
  listSync(path: string): string[]
  /** undefined when nothing is there. */
  stat(path: string): Promise<FileStat | undefined>
  /** As `stat`, blocking the thread. */
  statSync(path: string): FileStat | undefined
  /** Creates the folder and missing parents; an existing folder is fine. */
  makeDirectory(path: string): Promise<void>
  /** Replaces an existing target. */
  rename(from: string, to: string): Promise<void>
  /** Hard link; EEXIST when the target exists. */
  link(from: string, to: string): Promise<void>
  /** Removes a file. */
  remove(path: string): Promise<void>
  /** The absolute path with all symbolic links followed, as far as it exists; the rest as it is. */
  resolve(path: string): Promise<string>
  /** Removes a folder with all that is in it; missing is fine. */
  removeDirectory(path: string): Promise<void>
  /** Makes names created, renamed or removed in this folder durable. Does nothing where the system cannot (Windows). */
  syncDirectory(path: string): Promise<void>
}

/** One row of the catalog view. Keys are compared by bytes. */
export interface CatalogRow {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** Changes that become visible and durable together. A key may occur once over both lists. */
export interface CatalogChange {
  readonly puts: readonly CatalogRow[]
  readonly deletes: readonly Uint8Array[]
}

/**
 * The catalog view: a small ordered map on disk, changed atomically. It is a *view* of the system log and may be rebuilt from it at any
 * time, so it needs no history. Keys are 1 .. 500 bytes, values up to 64 MB. One thread at a time holds it open for writing.
 */
export interface CatalogView {
  get(key: Uint8Array): Uint8Array | undefined
  /** All rows in key order, copied: the arrays belong to the caller. */
  rows(): CatalogRow[]
  /**
   * Durable when it returns. Throws a `VarveError` (IO, NO_SPACE, …); after a throw the next open finds the view as before, or, when the
   * failure hit the very last flush, with the whole change.
   */
  change(change: CatalogChange): void
  close(): Promise<void>
}

export interface Catalogs {
  /**
   * Opens the view in `folder`. A missing one is created, with its folder, and is durable together with the folder's name in its parent;
   * with `readOnly` it is NOT_FOUND. Throws CORRUPT when it is not readable. Views of one folder in one process see each other's changes.
   */
  open(folder: string, options?: { readonly readOnly?: boolean }): Promise<CatalogView>
  /** Removes the view's files, and the folder when nothing else lies in it; missing is fine. */
  remove(folder: string): Promise<void>
}

/**
 * Background work: sealing segments, merging, preparing files, changing the catalog view. Tasks are plain data (structured-clonable;
 * SharedArrayBuffers are shared) and are run by the registered runner of their kind, in a worker thread or, in simulation, inline in
 * virtual time.
 * Tasks of one executor run one after the other in the order of `run` calls. A task that throws rejects with the same `VarveError`
 * (code, message, details), or `TASK_FAILED` with the cause when it threw something else or the worker died.
 */
export interface Executor {
  run<T>(task: Task, options?: RunOptions): Promise<T>
  /** Lets the running task finish, rejects waiting ones with CLOSED, stops the worker. Idempotent. */
  close(): Promise<void>
}

export interface Task {
  /** Which runner: a key of the runner table given to the environment. */
  readonly kind: string
  readonly input: unknown
}

export interface RunOptions {
  /** Called in the owner's thread with numbers that the runner reports. */
  readonly onProgress?: (done: number, total: number) => void
}

/** Runs one kind of task. Lives wherever the executor runs it and takes files and catalogs from the environment of that place. */
export type TaskRunner = (input: unknown, place: TaskPlace) => Promise<unknown>

export interface TaskPlace {
  readonly files: Files
  readonly catalogs: Catalogs
  readonly clock: Clock
  readonly report: (done: number, total: number) => void
}

/** Who holds the lock of a folder; written into the lock file as JSON. */
export interface LockOwner {
  readonly pid: number
  readonly host: string
  /** Changes at each start of the machine; a lock of another boot is stale. */
  readonly bootId: string
  /** Start of the process in the system's clock ticks or ms; tells a reused pid from the owner. */
  readonly processStart: string
  readonly since: string
}

export interface FolderLock {
  readonly owner: LockOwner
  /**
   * Makes sure that the lock is still this process's: takes it again when somebody deleted the file, throws LOCKED when another process
   * has taken it meanwhile. Worth a call before new files are started; costs one small read.
   */
  check(): Promise<void>
  /** Idempotent. Removes the lock file only when it is still this lock's. */
  release(): Promise<void>
}

export interface Locks {
  /** Takes the lock file at `path`, removing a stale one. Throws `LOCKED` with `details.owner` when a live process (or this one) holds it. */
  acquire(path: string): Promise<FolderLock>
}

/** Where files, time and workers come from. */
export interface Environment {
  /** Time. */
  readonly clock: Clock
  /** Randomness. */
  readonly random: Random
  /** Delays. */
  readonly timers: Timers
  /** The file system. */
  readonly files: Files
  /** The catalog view. */
  readonly catalogs: Catalogs
  /** Who owns a folder. */
  readonly locks: Locks
  /** Makes an executor whose tasks see this environment's files. */
  createExecutor(): Executor
}
