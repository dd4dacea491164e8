/** The door of compute/: jobs over stores, topics and other inputs; also `varve/compute`. */

export {
  Aggregate,
  approxCountDistinct,
  avg,
  type CollectOptions,
  collect,
  count,
  countDistinct,
  countIf,
  every,
  first,
  last,
  max,
  maxBy,
  median,
  min,
  minBy,
  quantile,
  quantiles,
  some,
  stddev,
  sum,
  topK,
  variance,
} from './aggregate/aggregate.ts'
export type { RunOptions } from './execute/run-flow.ts'
export type { SpeculationOptions } from './execute/stage-tasks.ts'
export { col, Expression, lit, type Operand, record, row, when } from './expression/expression.ts'
export type { Literal } from './expression/node.ts'
export type { CsvOptions, CsvType } from './file/csv-format.ts'
export { type BadRecords, type BinaryOptions, type JsonlOptions, readBinary, readCsv, readJsonl, readText } from './file/file-source.ts'
export { readParquet } from './file/parquet-source.ts'
export type { SortOptions } from './flow/arguments.ts'
export { Flow, flow, type JoinOptions, type MapAsyncOptions } from './flow/flow.ts'
export type { TopicInputOptions, TypedSource } from './flow/input.ts'
export { KeyedFlow } from './flow/keyed-flow.ts'
export { type AnyFlow, runTogether, type TogetherOptions, type TogetherRows } from './flow/run-together.ts'
export { SortedFlow } from './flow/sorted-flow.ts'
export type {
  AggregateValues,
  Extended,
  FieldOf,
  FieldValues,
  Flat,
  Joined,
  JoinOn,
  KeyOf,
  LeftOf,
  PathOf,
  RightOf,
  ValueAt,
  WindowValues,
} from './flow/types.ts'
export { Job, type JobContext, type JobHost, type JobOptions, job } from './job/job.ts'
export { type ArgsContext, type MapContext, type MapReduceOptions, mapReduce, type ReduceContext } from './mapreduce/map-reduce.ts'
export type { DescribedOperator, FlowDescription } from './plan/describe.ts'
export type { JoinHint, JoinKind } from './plan/node.ts'
export type { OperatorStats, RunStats } from './plan/run-stats.ts'
export { toCallback, toConsole } from './sink/callback-sink.ts'
export { type CsvSinkOptions, type FileSinkOptions, writeBinary, writeCsv, writeJsonl, writeParquet } from './sink/file-sink.ts'
export type { SinkKey } from './sink/key-of.ts'
export type { RunReport } from './sink/run-to.ts'
export type { Sink, SinkGuarantee, SinkWriter } from './sink/sink.ts'
export { type StoreSinkOptions, toStore } from './sink/store-sink.ts'
export { type TopicSinkOptions, toTopic } from './sink/topic-sink.ts'
export { type ChangesInputOptions, changesOf } from './source/changes-source.ts'
export type { Needs, Source, Split, SplitOptions, SplitReader, SplitSet } from './source/source.ts'
export { denseRank, lag, lead, rank, rowNumber, running, WindowFunction } from './window/window-function.ts'
