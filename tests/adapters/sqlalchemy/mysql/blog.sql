-- A blog in the manner of other people's, with dates of zeros.
SET sql_mode = '';
CREATE TABLE wp_users (ID bigint(20) unsigned NOT NULL AUTO_INCREMENT, user_login varchar(60) NOT NULL DEFAULT '', user_registered datetime NOT NULL DEFAULT '0000-00-00 00:00:00', PRIMARY KEY (ID), KEY user_login_key (user_login)) CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;
CREATE TABLE wp_posts (ID bigint(20) unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, post_author bigint(20) unsigned NOT NULL DEFAULT 0, post_date datetime NOT NULL DEFAULT '0000-00-00 00:00:00', post_day date, post_content longtext NOT NULL, post_status varchar(20) NOT NULL DEFAULT 'publish', KEY type_status_date (post_status, post_date, ID));
CREATE TABLE wp_options (option_id bigint(20) unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, option_name varchar(191) NOT NULL DEFAULT '', option_value longtext NOT NULL, UNIQUE KEY option_name (option_name)) COLLATE=utf8mb4_unicode_520_ci;
CREATE TABLE wp_term_relationships (object_id bigint(20) unsigned NOT NULL DEFAULT 0, term_taxonomy_id bigint(20) unsigned NOT NULL DEFAULT 0, PRIMARY KEY (object_id, term_taxonomy_id));
CREATE TABLE wp_log (at datetime NOT NULL, line varchar(20));
INSERT INTO wp_users VALUES (1, 'admin', '0000-00-00'), (2, 'Ünï', '2024-02-03 04:05:06');
INSERT INTO wp_posts (post_author, post_date, post_day, post_content) VALUES (1, '0000-00-00', '0000-00-00', ''), (1, '2024-00-10', '2024-02-00', 'a:1:{s:1:"x";N;}'), (9, '2024-02-03', NULL, '<!-- wp:p -->😀');
INSERT INTO wp_options VALUES (1, 'siteurl', 'https://x'), (5, 'cron', 'a:0:{}');
INSERT INTO wp_term_relationships VALUES (1, 1), (1, 2);
INSERT INTO wp_log VALUES ('0000-00-00', 'same'), ('0000-00-00', 'same');
