"""PRC: the processor that turns queries and pages into tokens, in training and in evaluation."""

from colintern.artifacts.model.processor_config import ProcessorConfig
from colintern.artifacts.printable import printable
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.run.layout import RunLayout
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.processor.files import PaddingSide, Vocabulary
from colintern.diagnostics.processor.resolution import page_budgets
from colintern.engine.evidence import sources
from colintern.engine.evidence.processor import ProcessorFiles, QueryFormats
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, WARNING, NoEvidence, Verdict
from colintern.families.family import Family


@rule("PRC001", "processor-missing", severity=ERROR)
def check_processor_is_saved(family: Family, processor_files: ProcessorFiles) -> Verdict:
    """The final folder cannot rebuild the processor.

    Why: whoever loads the model then takes the base's processor, with another image size, another
        budget of visual tokens or another query format, and the scores drop without an error.
    Evidence: the tokenizer's files, its configuration and the image processor in the final folder.
        A `checkpoint-N` is not a final folder, and a model of no known family needs none.
    Fix: `processor.save_pretrained(RUN)`, with the processor that training used.
    Source: transformers 5, `ProcessorMixin.from_pretrained`; sources D11.
    """
    missing = processor_files.missing
    return Verdict(
        not missing,
        observed=f"missing: {', '.join(missing)}"
        if missing
        else f"a whole {family.name} processor",
        expected="tokenizer, its configuration and the image processor beside the weights",
        where=processor_files.folder,
    )


@rule(
    "PRC002",
    "wrong-padding-side",
    severity=ERROR,
    explains={"LIV003", "LIV010", "RES001", "RES002"},
)
def check_padding_side(
    family: Family, layout: RunLayout, recorded_sides: tuple[PaddingSide, ...]
) -> Verdict:
    """Queries or pages are padded on the other side than the family's models expect.

    Why: positions shift with the padding, so a model trained with one side is worse with the other,
        in batches only. ColPali pads right and takes the side from tokenizer_config.json; the other
        families' processors set left when they are made, whatever the file says.
    Evidence: `padding_side` in colintern_run.json, colintern_eval.json and, for ColPali,
        tokenizer_config.json.
    Fix: set `processor.tokenizer.padding_side` before saving, and evaluate with that processor.
    Source: colpali-engine changelog 0.2.0 and its processors; sources D01.
    """
    wrong = [side.source for side in recorded_sides if side.side != family.padding_side]
    return Verdict(
        not wrong,
        observed=", ".join(printable(side) for side in recorded_sides),
        expected=f"{family.padding_side}, as {family.name} was trained",
        where=layout.find(wrong[0]) or layout.path if wrong else None,
    )


@rule("PRC003", "query-format-changed", severity=ERROR, explains={"LIV010", "RES002"})
def check_query_format_is_kept(query_formats: QueryFormats) -> Verdict:
    """Queries were evaluated, or will be, in another format than they were trained in.

    Why: a prefix that is added, doubled or left out, or another number of augmentation tokens,
        costs 0.02 to 0.03 NDCG without any warning. colpali-engine dropped "Query: " in 0.3.13;
        MTEB's wrappers doubled prefix and augmentation from 2.0.1 to 2.12.15 and force "Query: "
        from 2.19.2 on.
    Evidence: prefix and suffix in colintern_run.json, in colintern_eval.json and in the saved
        processor; else the version of colpali-engine in training and of MTEB in the results, for
        MTEB's own wrappers only.
    Fix: evaluate with the prefix and suffix that the run recorded.
    Source: colpali pull request 339; mteb issues 4360, 4361, 5166; sources D02, D03.
    """
    if query_formats.agree is None:
        raise NoEvidence(
            sources.BOTH_RECORDS,
            what="the query format",
            needed_for="comparing training and evaluation",
        )
    return Verdict(
        query_formats.agree,
        observed=f"trained with {query_formats.trained}; "
        f"evaluated with {' and '.join(map(str, query_formats.evaluated)) or 'nothing'}"
        + (f"; saved with {query_formats.saved}" if query_formats.saved else ""),
        expected="one query format in training and evaluation",
        where=None,
    )


@rule(
    "PRC004",
    "resolution-changed",
    severity=WARNING,
    explains={"CFG011", "LIV010", "RES002"},
    setting="Visual tokens a page",
)
def check_resolution_is_kept(
    manifest: RunManifest | None,
    processor: ProcessorConfig | None,
    evaluation_record: EvaluationRecord | None,
) -> Verdict:
    """Pages get another budget of visual tokens than in training.

    Why: a page that is cut into other tiles has other text sizes than the model learned to read;
        an evaluation that loads the base's processor does this unnoticed (12 tiles for 6).
    Evidence: `max_num_visual_tokens` in colintern_run.json, in the saved processor and in
        colintern_eval.json; of a processor without it, what its largest page becomes, when it was
        evaluated and now.
    Fix: evaluate with the processor in the run's folder.
    Source: sources D06, D07.
    """
    budgets = page_budgets(manifest, processor, evaluation_record)
    if len(budgets) < 2:
        raise NoEvidence(
            sources.BOTH_RECORDS,
            what="`max_num_visual_tokens`",
            needed_for="comparing training and evaluation",
        )
    return Verdict(
        len(set(budgets.values())) == 1,
        observed=", ".join(f"{tokens:,} tokens in {source}" for source, tokens in budgets.items()),
        expected="one budget of visual tokens",
        where=processor.path if processor else None,
    )


@rule("PRC005", "vocabulary-mismatch", severity=ERROR, explains={"LIV006"})
def check_vocabulary_fits(vocabulary: Vocabulary) -> Verdict:
    """The tokenizer gives ids for which the embedding has no row.

    Why: tokens were added and the embedding was resized in training but not saved, or the tokenizer
        is of another model. Such an id reads beyond the embedding: an error on the CPU, a nameless
        assertion on a GPU.
    Evidence: the largest id in tokenizer.json; rows of the embedding in the weights, else
        `vocab_size` of the base. More rows than ids is normal.
    Fix: save the embedding with the adapter (`save_embedding_layers=True`), or the right tokenizer.
    Source: colpali commit 5df0b45; sources C07.
    """
    return Verdict(
        vocabulary.fits,
        observed=f"{vocabulary.num_token_ids:,} token ids, "
        f"{vocabulary.embedding_rows:,} rows in the embedding",
        expected="a row for every token id",
        where=vocabulary.path,
    )
