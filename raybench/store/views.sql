-- Which of several rows counts. Every reader goes through these views.

-- The same call answered twice: the first durable row wins, always.
CREATE VIEW all_responses AS
SELECT * EXCLUDE (part) FROM raw_responses
QUALIFY row_number() OVER (PARTITION BY key, turn ORDER BY committed_at, part) = 1;

-- A sample read again: its newest reading wins, so that a corrected label counts.
CREATE VIEW samples AS
SELECT * EXCLUDE (part) FROM raw_samples
QUALIFY row_number() OVER (PARTITION BY task, dataset, split, sample ORDER BY committed_at DESC, part DESC) = 1;

-- A unit planned again: its newest plan wins. A cell holds the units of its newest prompt only, and
-- none that a later plan of the whole task retired (key '').
CREATE VIEW units AS
WITH planned AS (
    SELECT * EXCLUDE (part) FROM raw_units
    QUALIFY row_number() OVER (
        PARTITION BY task, dataset, split, model, config, variant, images, sample, repeat
        ORDER BY committed_at DESC, part DESC
    ) = 1
),
prompts AS (
    SELECT task, dataset, split, model, config, variant, images, arg_max(coalesce(prompt, ''), committed_at) AS newest
    FROM raw_units WHERE key <> '' GROUP BY ALL
)
SELECT planned.* FROM planned JOIN prompts USING (task, dataset, split, model, config, variant, images)
WHERE planned.key <> '' AND coalesce(planned.prompt, '') = prompts.newest;

-- One row a unit: calls of equal content share a response.
CREATE VIEW responses AS
SELECT u.* EXCLUDE (run_id, committed_at, prompt, ordinal),
    r.* EXCLUDE (key, task, dataset, split, model, config, variant, images, sample, repeat)
FROM units u JOIN all_responses r USING (key);

CREATE VIEW attempts AS SELECT DISTINCT * EXCLUDE (part) FROM raw_attempts;

-- The same call judged twice: the first wins. Another configuration of a judge of that name: the newest wins.
CREATE VIEW all_verdicts AS
SELECT * EXCLUDE (part) FROM raw_verdicts
QUALIFY row_number() OVER (PARTITION BY key ORDER BY committed_at, part) = 1;

CREATE VIEW verdicts AS
SELECT * FROM all_verdicts
QUALIFY row_number() OVER (PARTITION BY judge, protocol, item ORDER BY committed_at DESC, key) = 1;

-- The newest complete generation of each cell; complete = its scores part exists.
CREATE VIEW generations AS
SELECT task, dataset, split, model, config, variant, images, kind, max(generation) AS generation
FROM raw_scores GROUP BY ALL;

CREATE VIEW records AS
SELECT DISTINCT r.* EXCLUDE (part) FROM raw_records r
SEMI JOIN generations g USING (task, dataset, split, model, config, variant, images, generation);

-- Baselines stand beside systems scored on the same samples; others are leftovers.
CREATE VIEW scores AS
WITH newest AS (
    SELECT s.* EXCLUDE (part) FROM raw_scores s
    SEMI JOIN generations g USING (task, dataset, split, model, config, variant, images, kind, generation)
    WHERE s.kind <> 'baseline'
),
baselines AS (
    SELECT * EXCLUDE (part) FROM raw_scores WHERE kind = 'baseline'
    QUALIFY generation = max(generation) OVER (PARTITION BY task, dataset, split, sample_set, model)
)
SELECT DISTINCT * FROM newest
UNION ALL BY NAME
SELECT DISTINCT b.* FROM baselines b SEMI JOIN newest n USING (task, dataset, split, sample_set);

CREATE VIEW runs AS SELECT DISTINCT * EXCLUDE (part) FROM raw_runs;

CREATE VIEW media AS
SELECT * EXCLUDE (part) FROM raw_media
QUALIFY row_number() OVER (PARTITION BY image_sha256 ORDER BY committed_at, part) = 1;
