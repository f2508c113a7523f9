"""Small files of the known formats, as literal text."""

from __future__ import annotations

DAILY_NAME = "gaming_20241002.csv.gz"
DAILY_HEADER = (
    "title,description,videoId,thumbnails,channelName,channelId,channelUrl,verified,publishedText,"
    "publishedDate,viewsText,views,videoUrl,duration,durationText,isShort\r\n"
)
DAILY = DAILY_HEADER + (
    "Fish &amp; chips,\"two\nlines\",abcdefghijk,\"[{'url': 'x'}]\",Cooks,UCcooks,https://x/@c,True,"
    '1 day ago,2024-10-01T20:00:02.5Z,"1,204 views",1204,'
    "https://www.youtube.com/watch?v=abcdefghijk,90,1:30,False\r\n"
    "A short,,lmnopqrstuv,[],Sailors,UCsailors,https://x/@s,False,1 hour ago,"
    "2024-10-02T19:00:02.5Z,,0,https://youtube.com/shorts/lmnopqrstuv,-1,SHORTS,True\r\n"
    "A short,,lmnopqrstuv,[],Sailors,UCsailors,https://x/@s,False,1 hour ago,"
    "2024-10-02T19:00:02.5Z,,,https://youtube.com/shorts/lmnopqrstuv,-1,SHORTS,True\r\n"
)
KAGGLE_HEADER = (
    "video_id,title,channel_title,category_id,tags,views,likes,dislikes,comment_total,"
    "thumbnail_link,date\r\n"
)
KAGGLE = (
    "\ufeff"
    + KAGGLE_HEADER
    + "abcdefghijk,First,Cooks,24,a|b,1000,50,3,7,https://i/1.jpg,30.12\r\n"
    + "lmnopqrstuv,Second,Sailors,25,[none],0,0,0,0,https://i/2.jpg,30.12\r\n"
    + "lmnopqrstuv,Second,Sailors,25,[none],20,0,4,1,https://i/2.jpg,02.01\r\n"
)
HN_HEADER = "id,title,url,num_points,num_comments,author,created_at\n"
HN = (
    "\ufeff"
    + HN_HEADER
    + '12518265,"A ""quoted"" title",https://example.org/a,60,17,u_1,9/16/2016 23:55\n'
    + "12405698,Ask HN: no link,,1,0,u_2,9/7/2016 8:04\n"
)
