/** The engine's only door: what other folders and `varve/engine` may use. */

export type { BackupOptions, BackupReport } from './backup/backup.ts'
export { TRANSACTION_MARKER_BYTES, type TransactionMarker, writeTransactionMarker } from './batch/control-batch.ts'
export {
  batchBaseOffset,
  batchLastOffset,
  batchMaxTimestamp,
  batchProducerId,
  isControlBatch,
  isTransactionalBatch,
} from './batch/record-batch.ts'
export {
  decodeHeaders,
  decodeRecords,
  encodeRecordBatch,
  type LogRecord,
  type RecordBatchOptions,
  type RecordInput,
} from './batch/record-batch-codec.ts'
export { type RecordColumns, RecordCursor } from './batch/record-cursor.ts'
export { EXPIRES_AT_HEADER, recordExpiresAt } from './batch/record-expiry.ts'
export { openStoreBatch } from './batch/store-batch.ts'
export { StoreRecordCursor } from './batch/store-record.ts'
export { TopicBatch } from './batch/topic-batch.ts'
export { damagedBytes } from './codec/damage.ts'
export { readText } from './codec/text.ts'
export * as wasm from './codec/wasm-code.ts'
export { loadChecksums, xxh64Hex, xxh64Low32 } from './codec/xxh64.ts'
export type { StallState, StallStats } from './commit-log/stall-clock.ts'
export { Database, databaseOf, openDatabase, openDatabaseAs } from './database.ts'
export type {
  CompactionMessage,
  DiagnosticMessages,
  FlushMessage,
  GroupMessage,
  PoisonMessage,
  ProducerMessage,
  QueueEventMessage,
  RecoveryMessage,
  RetentionMessage,
  StallMessage,
} from './diagnostics.ts'
export { groupChannel, producerChannel, queueChannel, retentionChannel } from './diagnostics.ts'
export type { Environment, File, Files, Random } from './env/index.ts'
export {
  Breath,
  makeScratchFolder,
  nodeClock,
  nodeFiles,
  nodeRandom,
  nodeTimers,
  packError,
  resolveWorkerUrl,
  type TransportedError,
  unpackError,
} from './env/index.ts'
export type { ErrorCode, ErrorDetails, VarveErrorOptions } from './errors.ts'
export { assert, errorCodes, isVarveError, VarveError } from './errors.ts'
export { type FieldReader, fieldReader, readsFields } from './field/field-reader.ts'
export type { EncodedRange, RowCodec } from './field/row-codec.ts'
export {
  AnyVector,
  BOOLEAN_NULL,
  BooleanVector,
  type Dictionary,
  DictionaryVector,
  EncodedVector,
  isNothing,
  NumberVector,
  nullVector,
  sameVector,
  TextVector,
  type Vector,
} from './field/vector.ts'
export { VectorBuilder, vectorOf } from './field/vector-builder.ts'
export type { EndingThread, LeaseDescription, LeaseOptions, OwnedLease } from './lease/leases.ts'
export { type LeasedLog, type OpenedLease, openLease } from './lease/open-lease.ts'
export { checkOptions } from './log/check-arguments.ts'
export { checkColumns, columnsOption } from './log/column-options.ts'
export type * from './log/log.ts'
export { type OpenOptions, openOptionNames, type ResolvedOptions } from './options.ts'
export { type ColumnLayout, columnLayout } from './segment/column-layout.ts'
export { COLUMN_HEADER_BYTES } from './segment/format.ts'
export type { DatabaseStats } from './stats.ts'
export type { ChangesOptions, HistoryOptions } from './store/change-options.ts'
export type { Change, ChangeBatch, ChangeFeed, ChangesFrom, ChangesReadOptions } from './store/changes.ts'
export type { StoreColumns, StoreStretch } from './store/column-stretches.ts'
export { parseFieldPath, valueAtPath } from './store/field-path.ts'
export type { GroupChangeBatch, GroupChangeFeed, GroupChangesOptions, OpenGroupFeed } from './store/group-feed.ts'
export type { IndexDeclaration, IndexOptions } from './store/index-options.ts'
export { KEY_SIZE_MAX, type KeyCodec, type KeyCodecName, keyBytes, type StoreKey } from './store/key-codec.ts'
export type { LeasedIndex } from './store/leased-index.ts'
export type { LeasedStore, LeasedStoreOptions } from './store/leased-store.ts'
export type { RawEntries } from './store/raw-entries.ts'
export type { Snapshot } from './store/snapshots.ts'
export { type BatchOperation, type OtherStoreOperation, Store } from './store/store.ts'
export { codecsOf, type StoreCodecs } from './store/store-codecs.ts'
export type { StoreIndex } from './store/store-index.ts'
export type { StoreIterator } from './store/store-iterator.ts'
export type { PutOptions, RangeOptions, ReadStoreOptions, StoreOptions, WriteStoreOptions } from './store/store-options.ts'
export type { FilterStats, IndexStats, LevelStats, StoreStats, WrittenBytes } from './store/store-stats.ts'
export { StoreView, type ViewRangeOptions } from './store/store-view.ts'
export { storeLogPrefix } from './store/stores.ts'
export type { Transaction, TransactionLog, TransactionOptions } from './store/transaction.ts'
export type { TransactionIndex } from './store/transaction-index.ts'
export type { TransactionIterator } from './store/transaction-iterator.ts'
export type { TransactionPutOptions, TransactionRangeOptions } from './store/transaction-range.ts'
export type { TransactionStore } from './store/transaction-store.ts'
export { type CustomValueCodec, openCodec, type ValueCodec, type ValueCodecName, valueCodecOf } from './store/value-codec.ts'
export { type CompactOptions, type CompactReport, compact } from './tools/compact.ts'
export { type DumpItem, type DumpOptions, dump } from './tools/dump.ts'
export type { ProgressListener, ToolOptions } from './tools/folder.ts'
export { type RepairOptions, repair } from './tools/repair.ts'
export type { RepairAction, RepairLoss, RepairReport } from './tools/repair-report.ts'
export { type RestoreOptions, type RestoreReport, restore } from './tools/restore.ts'
export { type FileStats, type LogStats, type StatsReport, type StoreFileStats, stats } from './tools/stats.ts'
export { type VerifyFinding, type VerifyOptions, type VerifyReport, verify } from './tools/verify.ts'
