-- Questions to start with. From the repository's root: duckdb warehouse/actions.db < warehouse/queries.sql

-- Actions by frequency
SELECT action_name(action) AS key, count(*) AS times, round(100 * times / sum(times) OVER (), 2) AS percent
FROM steps GROUP BY action ORDER BY times DESC, key LIMIT 10;

-- Longest episodes
SELECT repo_id, episode, commit[:12] AS commit, steps, files_typed, subject
FROM episodes ORDER BY steps DESC, repo_id, episode LIMIT 10;

-- Drop reasons
SELECT scope, rule, count(*) AS times FROM drops GROUP BY ALL ORDER BY times DESC, scope, rule;

-- One frame, shown as a screen (the cursor is a block)
SELECT line, cursor FROM screen((SELECT min(repo_id) FROM repositories WHERE steps > 0), 50);

-- What was typed in one episode, by kind of key
SELECT phase, typed[:60] AS typed FROM keys((SELECT min(repo_id) FROM repositories WHERE steps > 0),
          (SELECT max(episode) FROM episodes WHERE steps > 0
           AND repo_id = (SELECT min(repo_id) FROM repositories WHERE steps > 0)))
LIMIT 12;

-- Steps with their commit and licence
SELECT s.repo_id, s.stream_step, action_name(s.action) AS key, phase_name(s.phase) AS phase,
       e.commit[:12] AS commit, r.licence
FROM steps s JOIN episodes e USING (repo_id, episode) JOIN repositories r USING (repo_id)
ORDER BY s.repo_id, s.stream_step LIMIT 10;

-- Files as they were opened (a content is stored once in a stream, forks may hold the same one)
SELECT DISTINCT ON (o.blob) e.repo_id, e.episode, o.path, b.size, left(b.content::VARCHAR, 40) AS starts_with
FROM (SELECT repo_id, episode, unnest(opened) AS o FROM episodes) e JOIN blobs b ON b.blob = o.blob
ORDER BY ALL LIMIT 5;
